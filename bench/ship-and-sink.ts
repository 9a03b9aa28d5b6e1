import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchOptions } from './support/bench-options.js';
import type { ChildServer } from './support/child-server.js';
import { pretouch } from './support/pretouch.js';
import { startNode } from './support/servers.js';
import { formatRatios, median } from './support/statistics.js';
import { printTable } from './support/table.js';
import { writeLinesFile } from './support/write-lines-file.js';

const poster = fileURLToPath(new URL('./support/post-blocks.js', import.meta.url));

const plainName = 'cat, and POST of 1 MiB';

interface Volume {
  readonly roundCount: number;
  readonly fileBytes: number;
}

const volumeDefault: Volume = { roundCount: 5, fileBytes: 1_000_000_000 };
const volumeQuick: Volume = { roundCount: 1, fileBytes: 200_000_000 };

interface Round {
  readonly megabytesPerSecond: number;
  /** Processor time of the command and, where there is one, of the node. */
  readonly commandCpuPerGb: number;
  readonly nodeCpuPerGb: number;
}

/** `ship` and `sink` of a file over one node, as whole commands, in turn with `cat` through a pipe, and into a plain program
 * that posts it. */
export async function benchShipAndSink({ quick }: BenchOptions): Promise<void> {
  const { roundCount, fileBytes } = quick ? volumeQuick : volumeDefault;
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  const source = join(directory, 'source.log');
  const results = new Map<string, Round[]>([
    ['cat through a pipe', []],
    [plainName, []],
    ['ship', []],
    ['sink', []],
  ]);
  try {
    writeLinesFile(source, fileBytes);
    for (let round = 0; round < roundCount; round += 1) {
      const outcome = await runRound(directory, source, fileBytes);
      for (const [name, figures] of outcome) results.get(name)?.push(figures);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const plain = results.get(plainName) ?? [];
  const rows = [...results].map(([name, rounds]) => [
    name,
    median(rounds.map((round) => round.megabytesPerSecond)).toFixed(0),
    formatRatios(
      rounds.map(
        ({ megabytesPerSecond }, index) =>
          megabytesPerSecond / (plain[index]?.megabytesPerSecond ?? Number.NaN),
      ),
    ),
    median(rounds.map((round) => round.commandCpuPerGb)).toFixed(2),
    median(rounds.map((round) => round.nodeCpuPerGb)).toFixed(2),
  ]);
  printTable(
    [
      `${fileBytes / 1e9} GB`,
      'MB/s',
      'of the plain POST',
      'CPU s/GB of the command',
      'CPU s/GB of the node',
    ],
    rows,
  );
}

async function runRound(
  directory: string,
  source: string,
  fileBytes: number,
): Promise<[string, Round][]> {
  const copy = join(directory, 'copy');
  const fresh = join(directory, 'pretouch');
  pretouch(fresh);
  const cat = await timeCommand(`cat '${source}' | cat > '${copy}'`);
  rmSync(copy);
  const data = join(directory, 'data');
  const node = await startNode(data);
  const common = `--server ${node.url.origin} --once --state '${directory}/state`;
  pretouch(fresh);
  const url = `${node.url.origin}/write?category=plain`;
  const post = await withNode(node, `cat '${source}' | '${process.execPath}' '${poster}' '${url}'`);
  pretouch(fresh);
  const ship = await withNode(node, `bin/run.js ship --from 'file:${source}' ${common}-ship'`);
  pretouch(fresh);
  const sink = await withNode(node, `bin/run.js sink --to stdout ${common}-sink' > '${copy}'`);
  const { size } = statSync(copy);
  if (size !== fileBytes) throw new Error(`The sink delivered ${size} of ${fileBytes} bytes`);
  await node.stop();
  for (const name of ['copy', 'data', 'state-ship', 'state-sink'])
    rmSync(join(directory, name), { recursive: true });
  return [
    ['cat through a pipe', toRound(fileBytes, cat, 0)],
    [plainName, toRound(fileBytes, post.command, post.nodeCpuSeconds)],
    ['ship', toRound(fileBytes, ship.command, ship.nodeCpuSeconds)],
    ['sink', toRound(fileBytes, sink.command, sink.nodeCpuSeconds)],
  ];
}

interface CommandTime {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function withNode(
  node: ChildServer,
  command: string,
): Promise<{ command: CommandTime; nodeCpuSeconds: number }> {
  const cpuBefore = node.cpuSeconds();
  const time = await timeCommand(command);
  return { command: time, nodeCpuSeconds: node.cpuSeconds() - cpuBefore };
}

/** Runs a shell command and takes the times that bash gives for it and its children. */
async function timeCommand(command: string): Promise<CommandTime> {
  const child = spawn('bash', ['-c', `TIMEFORMAT='%R %U %S'; time { ${command} 2>/dev/null; }`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  for await (const piece of child.stderr) text += String(piece);
  const exitCode =
    child.exitCode ?? (await new Promise<number>((resolve) => child.once('exit', resolve)));
  const [seconds = Number.NaN, user = Number.NaN, system = Number.NaN] = text
    .trim()
    .split(' ')
    .map(Number);
  if (exitCode !== 0 || Number.isNaN(system))
    throw new Error(`${command} ended with ${exitCode}: ${text}`);
  return { seconds, cpuSeconds: user + system };
}

function toRound(
  fileBytes: number,
  { seconds, cpuSeconds }: CommandTime,
  nodeCpuSeconds: number,
): Round {
  const gigabytes = fileBytes / 1e9;
  return {
    megabytesPerSecond: (gigabytes * 1_000) / seconds,
    commandCpuPerGb: cpuSeconds / gigabytes,
    nodeCpuPerGb: nodeCpuSeconds / gigabytes,
  };
}
