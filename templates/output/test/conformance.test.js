// @ts-check
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { outputConformance } from '@chukcha/plugin-api/conformance';
import { plugin } from '../hook.js';

const cases = outputConformance({
  createTarget: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'chukcha-plugin-'));
    const path = join(directory, 'messages.log');
    const { open } = await plugin.load();
    return {
      open: (context) => open({ path }, context),
      received: () => readFile(path),
      close: () => rm(directory, { recursive: true }),
    };
  },
});

for (const { name, run } of cases) test(name, run);
