import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Client } from '../../client/client.js';
import type { Credentials } from '../../client/credentials.js';
import { systemClock } from '../../common/clock.js';
import { makeDirectory } from '../../common/make-directory.js';
import { Mutex } from '../../common/mutex.js';
import { sleep } from '../../common/wait.js';
import type { NodeProcess } from '../../processes/node-process.js';
import { errorCode, errorMessage } from '../../protocol/chukcha-error.js';
import { Findings } from '../batch-ledger.js';
import { answerMsMax, type CalledNode, type Role, roles } from '../callers.js';
import type { EtcdTls } from '../etcd-process.js';
import { CertificateAuthority, type IssuedCertificate } from './certificate-authority.js';
import { replaceFile } from './replace-file.js';
import { type TokenGeneration, TokenRing } from './token-ring.js';

export interface SecurityOptions {
  /** Gets the files that nodes and etcd read. */
  readonly directory: string;
  readonly nodeNames: readonly string[];
  readonly categories: readonly string[];
  /** How long old tokens are accepted after the last use of them, so that calls with them have their answer. */
  readonly overlapMs: number;
}

/** What a member is for etcd. */
export const etcdUser = 'chukcha';

/**
 * A node looks at its files every 2 s, and may be frozen for 9 s or be away for 4 s and start again in between; the rest is
 * for a machine that is busy.
 */
const takenMsMax = 60_000;
const takenPollMs = 200;

/** How long a handshake may take when the certificate of a node is looked at. */
const handshakeMsMax = 2_000;

/** Whether something has come about at a node; if not, why, as the end of a sentence. */
type Look = (node: CalledNode, url: string) => Promise<true | string>;

/**
 * The security of a cluster as `docs/security.md` wants it: TLS for everybody with certificates on both sides, tokens with
 * rights by role, a secret among the nodes, and etcd by TLS with a user of its own. All of it is made here for one run.
 */
export class ClusterSecurity {
  tokenRotationCount = 0;
  certificateRenewalCount = 0;
  /** Calls that were answered without a right to it. */
  readonly letIn = new Findings();
  /** Tokens and certificates that a node has not taken in. */
  readonly notTaken = new Findings();
  readonly etcdPassword = newSecret();
  readonly #options: SecurityOptions;
  readonly #authority = new CertificateAuthority('chukcha torture');
  readonly #certificates = new Map<string, IssuedCertificate>();
  readonly #ring: TokenRing;
  readonly #rotating = new Mutex();
  readonly #renewing = new Mutex();
  #current: TokenGeneration;
  #withdrawn: TokenGeneration | undefined;
  #credentials: ReadonlyMap<Role, Credentials>;

  private constructor(options: SecurityOptions, ring: TokenRing, first: TokenGeneration) {
    this.#options = options;
    this.#ring = ring;
    this.#current = first;
    for (const role of roles) this.#certificates.set(role, this.#authority.issue(role));
    this.#credentials = this.#newCredentials();
  }

  static async create(options: SecurityOptions): Promise<ClusterSecurity> {
    const { directory, nodeNames, categories } = options;
    await makeDirectory(directory);
    const { ring, first } = await TokenRing.create(join(directory, 'tokens.yaml'), categories);
    const security = new ClusterSecurity(options, ring, first);
    await replaceFile(security.#path('ca.pem'), security.#authority.ca);
    await replaceFile(security.#path('cluster.secret'), newSecret());
    await replaceFile(security.#path('etcd.password'), security.etcdPassword);
    for (const name of [...nodeNames, 'etcd']) {
      const issued = security.#authority.issue(name);
      security.#certificates.set(name, issued);
      await replaceFile(security.#path(`${name}.key`), issued.key);
      await replaceFile(security.#path(`${name}.pem`), issued.cert);
    }
    return security;
  }

  /** What `serve` of a node is told. */
  nodeWords(name: string): readonly string[] {
    const [cert, key, ca] = [`${name}.pem`, `${name}.key`, 'ca.pem'].map((file) =>
      this.#path(file),
    );
    const flags = {
      ...{ '--tls-cert': cert, '--tls-key': key, '--tls-client-ca': ca },
      ...{ '--tokens': this.#ring.path, '--cluster-secret-file': this.#path('cluster.secret') },
      ...{ '--etcd-cert': cert, '--etcd-key': key, '--etcd-ca': ca },
      ...{ '--etcd-user': etcdUser, '--etcd-password-file': this.#path('etcd.password') },
    };
    return Object.entries(flags).flat() as string[];
  }

  get etcdTls(): EtcdTls {
    return {
      certPath: this.#path('etcd.pem'),
      keyPath: this.#path('etcd.key'),
      caPath: this.#path('ca.pem'),
      owner: this.certificateOf('observer'),
    };
  }

  /** What a role shows nodes; another object after each change. */
  credentials(role: Role): Credentials {
    return this.#credentials.get(role) ?? {};
  }

  /** The certificate of a role, and the authority of all. */
  certificateOf(role: Role): IssuedCertificate & { readonly ca: string } {
    const { cert, key } = this.#certificates.get(role) as IssuedCertificate;
    return { ca: this.#authority.ca, cert, key };
  }

  /** A token that no node accepts any more; `undefined` before there is one. */
  withdrawnToken(role: Role): string | undefined {
    return this.#withdrawn?.tokens[role];
  }

  /**
   * Gives all roles new tokens: they are accepted beside the old ones, used when all nodes have taken them in, and alone in
   * the end. Resolves when no node accepts the old ones.
   */
  rotateTokens(nodes: readonly CalledNode[]): Promise<void> {
    return this.#rotating.run(async () => {
      const [old, next] = [this.#current, await this.#ring.add()];
      const isTaken = await this.#waitForAll(nodes, 'the new tokens', this.notTaken, (_, url) =>
        this.#accepts(url, next.tokens.observer),
      );
      // Without them everywhere nobody could work with them.
      if (!isTaken) return;
      this.#current = next;
      this.#credentials = this.#newCredentials();
      await sleep(systemClock, this.#options.overlapMs);
      await this.#ring.keepOnly(next);
      const refusesOld: Look = async (_, url) => {
        const answer = await this.#accepts(url, old.tokens.observer);
        if (answer === true) return 'it accepts the old tokens';
        return answer === 'unauthorized' ? true : answer;
      };
      const isOver = await this.#waitForAll(
        nodes,
        'that the old tokens are withdrawn',
        this.letIn,
        refusesOld,
      );
      if (isOver) this.#withdrawn = old;
      this.tokenRotationCount += 1;
    });
  }

  /** Gives a node another certificate for its key, and tells it so. Resolves when it shows that one, or a newer one. */
  async renewCertificate(node: CalledNode & Pick<NodeProcess, 'reload'>): Promise<void> {
    await this.#renewing.run(async () => {
      const before = this.#certificates.get(node.name) as IssuedCertificate;
      const issued = this.#authority.issue(node.name, before.key);
      this.#certificates.set(node.name, issued);
      // Only this file changes: a node that starts just now reads it and the key one after the other.
      await replaceFile(this.#path(`${node.name}.pem`), issued.cert);
    });
    node.reload();
    await this.#waitForAll([node], 'its new certificate', this.notTaken, async ({ name }, url) => {
      const shown = await this.#shownSerialNumber(url);
      // While the node was away, it may have been given a newer one.
      const { cert } = this.#certificates.get(name) as IssuedCertificate;
      return shown === new X509Certificate(cert).serialNumber || 'it shows another one';
    });
    this.certificateRenewalCount += 1;
  }

  /** Tells whether all nodes have come so far in time; what one has not taken in is noted. */
  async #waitForAll(
    nodes: readonly CalledNode[],
    what: string,
    findings: Findings,
    look: Look,
  ): Promise<boolean> {
    const deadlineMs = systemClock.monotonicMs() + takenMsMax;
    let isDone = true;
    for (const node of nodes) {
      for (;;) {
        const { url } = node;
        const answer =
          url === undefined ? 'it takes no calls' : await look(node, url).catch(errorMessage);
        if (answer === true) break;
        if (systemClock.monotonicMs() > deadlineMs) {
          findings.add(`${node.name} did not take in ${what} within ${takenMsMax} ms: ${answer}.`);
          isDone = false;
          break;
        }
        await sleep(systemClock, takenPollMs);
      }
    }
    return isDone;
  }

  /** Whether a node accepts the token of an observer; if not, with which code it answers. */
  async #accepts(url: string, token: string): Promise<true | string> {
    const tls = this.certificateOf('observer');
    const client = new Client({ server: url, token, tls, timeoutMs: answerMsMax });
    try {
      await client.status();
      return true;
    } catch (error) {
      return errorCode(error) ?? errorMessage(error);
    } finally {
      client.close();
    }
  }

  async #shownSerialNumber(url: string): Promise<string> {
    const { hostname, port } = new URL(url);
    const tls = this.certificateOf('observer');
    const socket = connect({ host: hostname, port: Number(port), ...tls });
    socket.setTimeout(handshakeMsMax, () => socket.destroy(new Error('it does not answer')));
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().serialNumber;
    } finally {
      // What comes of a connection that is not needed any more is of no interest.
      socket.on('error', () => undefined);
      socket.destroy();
    }
  }

  #newCredentials(): ReadonlyMap<Role, Credentials> {
    const { tokens } = this.#current;
    return new Map(
      roles.map((role) => [role, { token: tokens[role], tls: this.certificateOf(role) }]),
    );
  }

  #path(file: string): string {
    return join(this.#options.directory, file);
  }
}

function newSecret(): string {
  return randomBytes(32).toString('base64');
}
