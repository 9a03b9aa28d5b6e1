import { connect } from 'node:tls';
import { Client } from '../../client/client.js';
import type { Credentials } from '../../client/credentials.js';
import { ChukchaError, errorFromBody } from '../../protocol/chukcha-error.js';
import { streamProtocol } from '../../protocol/frames.js';
import { replicationPath } from '../../protocol/replication.js';
import { answerMsMax, type Role, roles } from '../callers.js';
import { CertificateAuthority, type IssuedCertificate } from './certificate-authority.js';
import type { ClusterSecurity } from './cluster-security.js';
import { newToken } from './token-ring.js';

/** Something that a node has to refuse. */
export interface Trespass {
  /** Who tries what, as the subject of a sentence. */
  readonly summary: string;
  /** What has to stop it: TLS does so before anything is answered. */
  readonly stoppedBy: 'token' | 'certificate';
  /** Resolves when it was let in; throws how it ended else. */
  readonly attempt: (url: string) => Promise<unknown>;
}

/** What is asked for; none of it may be done by who has no right to it. */
const calls = {
  write: (client, { category }) =>
    client.write(category, [Buffer.from('an intruder wrote this\n')]),
  'write elsewhere': (client) => client.write('elsewhere', [Buffer.from('as this\n')]),
  list: (client, { category, group }) => client.listChunks(category, { group }),
  read: (client, { category, chunk }) =>
    client.read(category, { chunk, offset: 0, byteCountMax: 1_000 }),
  acknowledge: (client, { category, chunk, group }) => client.ack(category, chunk, 1, { group }),
  seal: (client, { category }) => client.seal(category),
  'list groups': (client, { category }) => client.groups(category),
  'add a group': (client, { category }) => client.registerGroup(category, 'intruders'),
  'remove a group': (client, { category, group }) => client.removeGroup(category, group),
  'see the status': (client) => client.status(),
  'drain a node': (client, { node }) => client.changeNode(node, 'drain'),
} satisfies Record<string, (client: Client, place: TrespassPlace) => Promise<unknown>>;

type CallName = keyof typeof calls;

const callNames = Object.keys(calls) as readonly CallName[];

/** What each role is there for; all the rest it may not do. */
const allowedCalls: Readonly<Record<Role, readonly CallName[]>> = {
  writer: ['write'],
  reader: ['list', 'read', 'acknowledge', 'seal', 'list groups', 'add a group'],
  observer: ['see the status'],
};

/** What trespasses are about: all of it is there. */
export interface TrespassPlace {
  readonly category: string;
  readonly group: string;
  readonly chunk: string;
  readonly node: string;
}

/** Everything that is tried, as things stand. */
export function listTrespasses(security: ClusterSecurity, place: TrespassPlace): Trespass[] {
  return [
    ...roles.flatMap((role) => beyondRights(security, role, place)),
    ...withoutToken(security, place),
    ...withoutCertificate(security, place),
    ...asPeer(security, place),
  ];
}

function beyondRights(security: ClusterSecurity, role: Role, place: TrespassPlace): Trespass[] {
  const forbidden = callNames.filter((name) => !allowedCalls[role].includes(name));
  return forbidden.map((name) =>
    byToken(`the ${role}`, name, place, () => security.credentials(role)),
  );
}

/** A certificate alone, a token that never was, and tokens that were. */
function withoutToken(security: ClusterSecurity, place: TrespassPlace): Trespass[] {
  const tls = security.certificateOf('reader');
  const withdrawn = roles.flatMap((role) => {
    const token = security.withdrawnToken(role);
    if (token === undefined) return [];
    const who = `the ${role} with a token that was withdrawn`;
    return allowedCalls[role].map((name) => byToken(who, name, place, () => ({ token, tls })));
  });
  return [
    ...callNames.map((name) => byToken('somebody without a token', name, place, () => ({ tls }))),
    ...callNames.map((name) =>
      byToken('somebody with an invented token', name, place, () => ({ token: newToken(), tls })),
    ),
    ...withdrawn,
  ];
}

/** With the rights of a writer, and everything but a certificate of the authority. */
function withoutCertificate(security: ClusterSecurity, place: TrespassPlace): Trespass[] {
  const { ca } = security.certificateOf('writer');
  const strangers = {
    'a writer without a certificate': () => ({ ca }),
    'a writer with a certificate of another authority': () => ({
      ca,
      ...new CertificateAuthority('chukcha torture').issue('writer'),
    }),
  };
  const byCertificate = Object.entries(strangers).map(
    ([who, tls]): Trespass => ({
      summary: `${who} tries to write`,
      stoppedBy: 'certificate',
      attempt: (url) =>
        callOnce(url, { ...security.credentials('writer'), tls: tls() }, 'write', place),
    }),
  );
  const plain: Trespass = {
    summary: 'a writer without TLS tries to write',
    stoppedBy: 'certificate',
    attempt: (url) => {
      const { token } = security.credentials('writer');
      return callOnce(url.replace('https:', 'http:'), { ...(token && { token }) }, 'write', place);
    },
  };
  return [...byCertificate, plain];
}

/** Who has a certificate and even a token is no node. */
function asPeer(security: ClusterSecurity, { node }: TrespassPlace): Trespass[] {
  const { token } = security.credentials('reader');
  const shown = { 'no secret': undefined, 'its token': token, 'an invented secret': newToken() };
  return Object.entries(shown).map(([what, secret]) => ({
    summary: `a reader that says that it is ${node}, with ${what} for the secret of the cluster,`,
    stoppedBy: 'token',
    attempt: (url) => openReplication(url, security.certificateOf('reader'), node, secret),
  }));
}

function byToken(
  who: string,
  name: CallName,
  place: TrespassPlace,
  credentials: () => Credentials,
): Trespass {
  return {
    summary: `${who} tries to ${name}`,
    stoppedBy: 'token',
    attempt: (url) => callOnce(url, credentials(), name, place),
  };
}

async function callOnce(
  url: string,
  credentials: Credentials,
  name: CallName,
  place: TrespassPlace,
): Promise<unknown> {
  const client = new Client({ server: url, timeoutMs: answerMsMax, ...credentials });
  try {
    return await calls[name](client, place);
  } finally {
    client.close();
  }
}

/** Resolves with the first answer to a stream that was opened; throws the error of a node that refuses it. */
async function openReplication(
  url: string,
  tls: IssuedCertificate & { readonly ca: string },
  node: string,
  secret: string | undefined,
): Promise<string> {
  const { hostname, port, host } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), ...tls });
  const late = new ChukchaError('timeout', `${url} did not answer within ${answerMsMax} ms.`);
  socket.setTimeout(answerMsMax, () => socket.destroy(late));
  const hello = `cluster=torture&node=${node}&directory=none&boot=none&epoch=1`;
  const lines = [
    `GET ${replicationPath}?${hello} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    `Upgrade: ${streamProtocol}`,
    ...(secret === undefined ? [] : [`Authorization: Bearer ${secret}`]),
  ];
  try {
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    let answer = '';
    for await (const bytes of socket as AsyncIterable<Buffer>) {
      answer += bytes.toString('latin1');
      if (answer.startsWith('HTTP/1.1 101')) return answer;
    }
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    throw errorFromBody(body) ?? new ChukchaError('server_unreachable', `${url} did not answer.`);
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}
