// @ts-check
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { outputConformance } from '@chukcha/plugin-api/conformance';
import { plugin } from '../hook.js';
import { check } from '../output.js';

const cases = outputConformance({
  createTarget: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'chukcha-plugin-'));
    const { open } = await plugin.load();
    return {
      open: (context) => open({ directory }, context),
      received: async () => {
        const names = (await readdir(directory)).sort();
        return Buffer.concat(
          await Promise.all(names.map((name) => readFile(join(directory, name)))),
        );
      },
      close: () => rm(directory, { recursive: true }),
    };
  },
});

for (const { name, run } of cases) test(name, run);

test('check tells of a directory that will be made', async () => {
  const steps = [];
  for await (const step of check({ directory: join(tmpdir(), 'not-there', 'yet') }))
    steps.push(step);
  assert.deepEqual(
    steps.map(({ name, result }) => `${name} ${result}`),
    ['directory warning'],
  );
});
