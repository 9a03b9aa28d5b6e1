import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { testDirectory } from '../support/test-directory.js';

/** Runs a script in a process of its own, with a temporary directory below `parent`. */
function run(parent: string, script: string): { status: number | null; stderr: string } {
  const module = (name: string): string =>
    new URL(`../../src/processes/${name}.js`, import.meta.url).href;
  const start = [
    `import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';`,
    `import { TemporaryDirectory } from '${module('temporary-directory')}';`,
    `import { ChildProgram } from '${module('child-program')}';`,
    `const parent = ${JSON.stringify(parent)};`,
    `const directory = await TemporaryDirectory.make(parent, 'made-');`,
  ];
  const words = ['--input-type=module', '-e', [...start, script].join('\n')];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  return { status, stderr };
}

await t.test('what is in it goes with it when the process ends at once, and nothing else', (t) => {
  const parent = testDirectory(t, { outside: { kept: 'as it was' } });
  const { status, stderr } = run(
    parent,
    `mkdirSync(directory.path + '/a/b', { recursive: true });
     writeFileSync(directory.path + '/a/b/file', 'x');
     symlinkSync(parent + '/outside', directory.path + '/a/link');
     process.exit(7);`,
  );
  t.equal(status, 7, stderr);
  t.same(readdirSync(parent), ['outside']);
  t.equal(readFileSync(join(parent, 'outside', 'kept'), 'utf8'), 'as it was');
  t.end();
});

await t.test('a program of the process that still makes files there is no hindrance', (t) => {
  const parent = testDirectory(t);
  const making = `let count = 0;
    const directory = process.argv[1];
    setInterval(() => require('node:fs').writeFileSync(directory + '/' + count++, ''), 1);
    console.log('making');`;
  const { status, stderr } = run(
    parent,
    `new ChildProgram({
       program: process.execPath,
       words: ['-e', ${JSON.stringify(making)}, directory.path],
       logFile: parent + '/log',
       onLine: () => setTimeout(() => process.exit(7), 50),
     });`,
  );
  t.equal(status, 7, stderr);
  t.same(readdirSync(parent), ['log']);
  t.end();
});

await t.test(
  'an error that nobody takes ends it the same way; what is kept or removed is done',
  (t) => {
    const parent = testDirectory(t);
    t.equal(run(parent, `throw new Error('nobody takes it');`).status, 1);
    t.same(readdirSync(parent), []);
    t.equal(run(parent, `await directory.remove();`).status, 0);
    t.same(readdirSync(parent), []);
    mkdirSync(join(parent, 'kept'));
    t.equal(run(join(parent, 'kept'), `directory.keep(); process.exit(0);`).status, 0);
    t.equal(readdirSync(join(parent, 'kept')).length, 1);
    t.ok(existsSync(join(parent, 'kept')));
    t.end();
  },
);
