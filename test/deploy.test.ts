import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { environmentName } from '../src/commands/shared/flags.js';
import { logOptionsSchema } from '../src/common/log-options-schema.js';
import { resolveOptions } from '../src/common/schema-options.js';
import { resolveNodeOptions } from '../src/node/node-options.js';
import { nodeOptionsSchema } from '../src/node/node-options-schema.js';
import { paths } from '../src/protocol/http-api.js';
import { findCommandFaults, optionsOf } from './support/command-lines.js';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const units = readdirSync(join(root, 'deploy/systemd')).map((name) => `deploy/systemd/${name}`);
const dockerfile = read('deploy/docker/Dockerfile');

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly command?: string[];
        readonly environment?: Readonly<Record<string, string>>;
      }
    >
  >;
}
const compose = parse(read('deploy/docker/compose.yaml'), { merge: true }) as Compose;

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}
const manifests = parseAllDocuments(read('deploy/kubernetes/chukcha.yaml')).map((document) => {
  if (document.errors.length > 0) throw document.errors[0];
  return document.toJS() as Manifest;
});

interface Container {
  readonly args: string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly [probe: string]: unknown;
}
const statefulSet = manifests.find(({ kind }) => kind === 'StatefulSet')?.spec as {
  readonly serviceName: string;
  readonly template: {
    readonly metadata: { readonly labels: object };
    readonly spec: { readonly containers: readonly Container[] };
  };
};
const [container] = statefulSet.template.spec.containers;

/** Every command line of the project in these files, with what it stands in. */
function commandLines(): [place: string, words: string[]][] {
  const execStarts = units.map((path): [string, string[]] => {
    const line = /^ExecStart=\/usr\/bin\/chukcha (.*)$/m.exec(read(path))?.[1];
    return [path, line?.split(' ') ?? []];
  });
  const services = Object.entries(compose.services)
    .filter(([, { image }]) => image === 'chukcha')
    .map(([name, { command }]): [string, string[]] => [`compose ${name}`, command ?? []]);
  const cmd = /^CMD (\[.*\])$/m.exec(dockerfile)?.[1] ?? '[]';
  return [
    ...execStarts,
    ...services,
    ['Dockerfile', JSON.parse(cmd) as string[]],
    ['kubernetes', container?.args ?? []],
    ...['docs/deployment.md', 'docs/upgrading.md', 'docs/line-formats.md'].flatMap(documented),
  ];
}

/** The lines of code blocks that begin with `chukcha`, without their comments. */
function documented(path: string): [string, string[]][] {
  return [...read(path).matchAll(/^ {4}(?:\$ |sudo )?chukcha ([^#\n]*)/gm)].map(([, line = '']) => [
    path,
    line.trim().split(/\s+/),
  ]);
}

await t.test('every command line for services has only flags that the commands have', async (t) => {
  const lines = commandLines();
  t.ok(lines.length >= 8, `${lines.length} lines were found`);
  for (const [place, words] of lines) {
    t.ok(words.length > 0, `${place} has a command`);
    t.same(await findCommandFaults(words), [], place);
  }
});

await t.test('the check of command lines finds what is wrong', async (t) => {
  t.match(await findCommandFaults(['serv']), [/no command/]);
  t.match(await findCommandFaults(['serve', '--dat', 'x']), [/--dat is no flag/]);
  t.match(await findCommandFaults(['serve', '--data']), [/--data has no value/]);
  t.match(await findCommandFaults(['node', 'drain', 'a', '--from=b']), [/--from is no flag/]);
  t.same(await findCommandFaults(['ship', '--once', '--from', 'stdin']), []);
});

await t.test('the options of every node in these files are valid', async (t) => {
  for (const [place, words] of commandLines()) {
    if (words[0] !== 'serve' || words.includes('--config')) continue;
    const all = optionsOf(words.map((word) => word.replaceAll('$(POD_NAME)', 'chukcha-0')));
    const { 'log-level': level, 'log-format': format, ...given } = all;
    const log = { ...(level && { 'log-level': level }), ...(format && { 'log-format': format }) };
    t.match(resolveOptions(logOptionsSchema, log), { ok: true });
    t.doesNotThrow(() => resolveNodeOptions(given), place);
  }
});

await t.test('every variable in these files stands for a flag, with a value that it takes', (t) => {
  const pairs = [
    ...(container?.env ?? []).map(({ name, value }) => [name, value] as const),
    ...Object.values(compose.services).flatMap((service) =>
      Object.entries(service.environment ?? {}),
    ),
  ].filter(([name]) => name.startsWith('CHUKCHA_'));
  t.equal(pairs.length, 4, 'the pods, and three containers');
  const schemas = { ...nodeOptionsSchema.properties, ...logOptionsSchema.properties };
  const known = new Map(Object.keys(schemas).map((name) => [environmentName(name), name]));
  for (const [variable, value] of pairs) {
    const name = known.get(variable);
    t.ok(name, `${variable} is known`);
    t.match(resolveOptions(logOptionsSchema, { [name ?? '']: value }), { ok: true });
  }
  t.end();
});

await t.test('the manifests fit together', (t) => {
  t.same(
    manifests.map(({ kind }) => kind),
    ['Service', 'PodDisruptionBudget', 'StatefulSet'],
  );
  t.same(new Set(manifests.map(({ metadata }) => metadata.name)), new Set(['chukcha']));
  const service = manifests[0];
  t.match(service?.spec, { clusterIP: 'None', selector: { app: 'chukcha' } });
  t.equal(statefulSet.serviceName, service?.metadata.name);
  t.same(statefulSet.template.metadata.labels, service?.spec['selector']);
  const probes = {
    startupProbe: paths.live,
    livenessProbe: paths.live,
    readinessProbe: paths.ready,
  };
  for (const [probe, path] of Object.entries(probes)) {
    t.match(container?.[probe], { httpGet: { path, port: 'http' } });
  }
  t.end();
});

await t.test('the image has all that is published, and asks a node whether it is ready', (t) => {
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  // The manifest of the commands is made when the package is packed, and only saves time.
  const needed = files.filter((file) => !/^!|^[A-Z]+(\.md)?$|^oclif\.manifest/.test(file));
  t.ok(needed.length >= 3);
  for (const file of needed.map((file) => file.replace(/\/run\.js$|\/\*.*$/, ''))) {
    t.ok(dockerfile.includes(`COPY --from=build /app/${file} `), file);
  }
  t.ok(dockerfile.includes(`http://127.0.0.1:8080${paths.ready}`));
  t.match(dockerfile, /^USER node$/m);
  t.end();
});

const analyze = '/usr/bin/systemd-analyze';

await t.test(
  'systemd takes the units',
  { skip: !existsSync(analyze) && 'systemd is not here' },
  (t) => {
    const instances = units.map((path) => join(root, path));
    const { status, stdout, stderr } = spawnSync(
      analyze,
      ['verify', '--man=no', '--recursive-errors=no', ...instances],
      {
        encoding: 'utf8',
      },
    );
    // The command is not installed where the tests run; everything else must be right.
    const complaints = `${stdout}${stderr}`
      .split('\n')
      .filter(
        (line) => line !== '' && !line.includes('Command /usr/bin/chukcha is not executable'),
      );
    t.same(complaints, [], `ended with ${status}`);
    t.end();
  },
);
