import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findRuleBreaches, importsOf, type SourceModule } from './support/import-rules.js';

const root = join(import.meta.dirname, '..', '..');
const plugins = readdirSync(join(root, 'plugins')).map((name) => `plugins/${name}`);

function readModules(folder: string): SourceModule[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[jt]s$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path: path.slice(root.length + 1), text: readFileSync(path, 'utf8') }));
}

function dependenciesOf(plugin: string): string[] {
  const text = readFileSync(join(root, plugin, 'package.json'), 'utf8');
  const { dependencies, peerDependencies } = JSON.parse(text) as Record<string, object | undefined>;
  return Object.keys({ ...dependencies, ...peerDependencies });
}

await t.test('no source breaks the import rules', async (t) => {
  const modules = ['bin', 'src', ...plugins.map((plugin) => `${plugin}/src`)].flatMap(readModules);
  const pluginDependencies = Object.fromEntries(
    plugins.map((plugin) => [plugin, dependenciesOf(plugin)]),
  );
  t.ok(modules.length > 50, 'the sources were found');
  t.same(findRuleBreaches({ modules, pluginDependencies }), []);
});

await t.test('every form of an import is seen', async (t) => {
  const text = [
    "import a from './a.js';",
    "import { b,\n  type c } from './b.js';",
    "import type { D } from './d.js';",
    "export * from './e.js';",
    "export type { F } from './f.js';",
    "import './g.js';",
    "const h = await import('./h.js');",
    "// import i from './i.js';",
    "/* import j from './j.js'; */",
    "import k, { type L } from './k.js';",
  ].join('\n');
  t.same(
    importsOf(text).map(({ specifier, typeOnly }) => (typeOnly ? `type ${specifier}` : specifier)),
    ['./a.js', './b.js', 'type ./d.js', './e.js', 'type ./f.js', './k.js', './g.js', './h.js'],
  );
});

interface Offence {
  readonly rule: string;
  /** Path and text of made-up modules, of which the last one breaks the rule. */
  readonly modules: readonly (readonly [path: string, text: string])[];
  readonly breach: string;
}

const offences: readonly Offence[] = [
  {
    rule: 'storage knows nothing of the server',
    modules: [['src/storage/bad.ts', "import { createApp } from '../server/app.js';"]],
    breach: 'src/storage/bad.ts imports src/server/app.ts, which storage may not',
  },
  {
    rule: 'types from a forbidden folder are forbidden too',
    modules: [['src/protocol/bad.ts', "import type { Store } from '../storage/store.js';"]],
    breach: 'src/protocol/bad.ts imports src/storage/store.ts, which protocol may not',
  },
  {
    rule: 'common depends on no other folder',
    modules: [['src/common/bad.ts', "export { limits } from '../protocol/limits.js';"]],
    breach: 'src/common/bad.ts imports src/protocol/limits.ts, which common may not',
  },
  {
    rule: 'the client does not reach into storage',
    modules: [['src/client/bad.ts', "const store = await import('../storage/store.js');"]],
    breach: 'src/client/bad.ts imports src/storage/store.ts, which client may not',
  },
  {
    rule: 'a pipeline does not start a node',
    modules: [['src/pipeline/bad.ts', "import { startNode } from '../node/node.js';"]],
    breach: 'src/pipeline/bad.ts imports src/node/node.ts, which pipeline may not',
  },
  {
    rule: 'the plugin host knows no pipeline',
    modules: [['src/plugin-host/bad.ts', "import '../pipeline/shipper.js';"]],
    breach: 'src/plugin-host/bad.ts imports src/pipeline/shipper.ts, which plugin-host may not',
  },
  {
    rule: 'a folder without a row in the table is refused',
    modules: [['src/utils/bad.ts', '']],
    breach: 'src/utils/bad.ts is in a folder that the table of import rules lacks',
  },
  {
    rule: 'sources do not import what is outside of src',
    modules: [['src/node/bad.ts', "import { fake } from '../../test/support/fake.js';"]],
    breach: 'src/node/bad.ts imports test/support/fake.ts, which node may not',
  },
  {
    rule: 'koa stays in the server',
    modules: [['src/node/bad.ts', "import Koa from 'koa';"]],
    breach: 'src/node/bad.ts imports koa, which is kept to other places',
  },
  {
    rule: 'oclif stays in the commands',
    modules: [['src/pipeline/bad.ts', "import { Flags } from '@oclif/core';"]],
    breach: 'src/pipeline/bad.ts imports @oclif/core, which is kept to other places',
  },
  {
    rule: 'the plugin host takes only types of oclif',
    modules: [['src/plugin-host/bad.ts', "import { Config } from '@oclif/core';"]],
    breach: 'src/plugin-host/bad.ts imports @oclif/core, which is kept to other places',
  },
  {
    rule: 'chokidar stays in its plugin',
    modules: [['src/common/bad.ts', "import { watch } from 'chokidar';"]],
    breach: 'src/common/bad.ts imports chokidar, which is kept to other places',
  },
  {
    rule: 'the server knows no plugins',
    modules: [['src/server/bad.ts', "import { apiVersion } from '@chukcha/plugin-api';"]],
    breach: 'src/server/bad.ts imports @chukcha/plugin-api, which is kept to other places',
  },
  {
    rule: 'built-in plugins are loaded as any other',
    modules: [['src/commands/bad.ts', "import '@chukcha/input-file';"]],
    breach: 'src/commands/bad.ts imports @chukcha/input-file, which is kept to other places',
  },
  {
    rule: 'etcd3 is imported by one file',
    modules: [
      ['src/coordination/etcd.ts', "import { Etcd3 } from 'etcd3';"],
      ['src/coordination/bad.ts', "import type { Etcd3 } from 'etcd3';"],
    ],
    breach: 'src/coordination/etcd.ts, src/coordination/bad.ts all import what one file may',
  },
  {
    rule: 'cockatiel is for the adapter of etcd3',
    modules: [['src/coordination/bad.ts', "import { retry } from 'cockatiel';"]],
    breach: 'src/coordination/bad.ts imports cockatiel, which is kept to other places',
  },
  {
    rule: 'a plugin imports its own dependencies only',
    modules: [['plugins/input-file/src/bad.ts', "import { Ajv } from 'ajv/dist/2020.js';"]],
    breach:
      'plugins/input-file/src/bad.ts imports ajv/dist/2020.js, which is not a dependency of plugins/input-file',
  },
  {
    rule: 'a plugin does not know the sources of the node',
    modules: [['plugins/input-file/src/bad.ts', "import '../../../src/client/client.js';"]],
    breach: 'plugins/input-file/src/bad.ts imports src/client/client.ts, outside of it',
  },
  {
    rule: 'storage reads no files past the disk port',
    modules: [['src/storage/bad.ts', "import { readFile } from 'node:fs/promises';"]],
    breach: 'src/storage/bad.ts uses node:fs/promises past the ports',
  },
  {
    rule: 'replication opens no connections past its port',
    modules: [['src/replication/bad.ts', "import { connect } from 'node:net';"]],
    breach: 'src/replication/bad.ts uses node:net past the ports',
  },
  ...['Date.now()', 'setTimeout(run, 1)', 'setInterval(run, 1)', 'setImmediate(run)'].map(usage),
  ...['Math.random()', 'performance.now()', 'new Date()'].map(usage),
  {
    rule: 'modules do not import each other in a circle',
    modules: [
      ['src/storage/a.ts', "import { b } from './b.js';"],
      ['src/storage/b.ts', "export { c } from './c.js';"],
      ['src/storage/c.ts', "import { a } from './a.js';"],
    ],
    breach:
      'src/storage/a.ts -> src/storage/b.ts -> src/storage/c.ts -> src/storage/a.ts is a cycle',
  },
];

function usage(code: string): Offence {
  const name = code.startsWith('new') ? code : code.replace(/\(.*/, '');
  return {
    rule: `coordination does not use ${name}`,
    modules: [['src/coordination/bad.ts', `export const made = ${code};`]],
    breach: `src/coordination/bad.ts uses ${name} past the ports`,
  };
}

const pluginDependencies = { 'plugins/input-file': ['@chukcha/plugin-api', 'chokidar'] };

await t.test('each rule can fail', async (t) => {
  for (const { rule, modules, breach } of offences) {
    const found = findRuleBreaches({
      modules: modules.map(([path, text]) => ({ path, text })),
      pluginDependencies,
    });
    t.same(found, [breach], rule);
  }
});

await t.test('what the rules allow is not reported', async (t) => {
  const modules = [
    { path: 'src/server/app.ts', text: "import Koa from 'koa';\nimport '../storage/store.js';" },
    { path: 'src/plugin-host/a.ts', text: "import type { Config } from '@oclif/core';" },
    { path: 'src/storage/node-disk.ts', text: "import { open } from 'node:fs';" },
    {
      path: 'src/storage/a.ts',
      text: '// never setTimeout here\nimport type { B } from "./b.js";',
    },
    { path: 'src/storage/b.ts', text: "import { a } from './a.js';" },
    { path: 'src/commands/a.command.ts', text: "import '../node/node.js';" },
    { path: 'src/index.ts', text: "export { Client } from './client/client.js';" },
    { path: 'plugins/input-file/src/a.ts', text: "import { watch } from 'chokidar';" },
  ];
  t.same(findRuleBreaches({ modules, pluginDependencies }), []);
});
