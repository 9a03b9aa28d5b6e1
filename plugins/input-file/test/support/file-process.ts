// A run of the input in a process of its own, for tests that limit or stop it. Started with its options as JSON; tells on
// standard output, a line of JSON each, what it logs and which lines came.
import { createTestContext } from '@chukcha/plugin-api/conformance';
import { openInput, type RunOptions } from './file-run.js';

export type FileProcessMessage =
  | { readonly kind: 'log'; readonly level: string; readonly text: string }
  | { readonly kind: 'lines'; readonly lines: readonly string[] };

function send(message: FileProcessMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const options = JSON.parse(process.argv[2] ?? '') as RunOptions;
const write =
  (level: string) =>
  (text: string): void =>
    send({ kind: 'log', level, text });
const log = {
  debug: write('debug'),
  info: write('info'),
  warn: write('warn'),
  error: write('error'),
};
const input = await openInput(options, createTestContext({ log }));
for await (const batch of input.batches(new AbortController().signal)) {
  send({ kind: 'lines', lines: Buffer.from(batch.bytes).toString().trimEnd().split('\n') });
  await batch.ack();
}
