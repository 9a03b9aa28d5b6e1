// @ts-check
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { inputConformance } from '@chukcha/plugin-api/conformance';
import { plugin } from '../hook.js';

const cases = inputConformance({
  remembers: true,
  endless: false,
  createSource: async (lines) => {
    const directory = await mkdtemp(join(tmpdir(), 'chukcha-plugin-'));
    const path = join(directory, 'lines.log');
    await writeFile(path, Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])));
    const { open } = await plugin.load();
    return {
      open: (context) => open({ path, poll_interval_ms: 10 }, context),
      close: () => rm(directory, { recursive: true }),
    };
  },
});

for (const { name, run } of cases) test(name, run);
