import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import t from 'tap';
import { readDiskFacts } from '../../src/processes/describe-disk.js';
import { readMachineCpuSeconds, readProcessFigures } from '../../src/processes/process-figures.js';

const skip = existsSync('/proc/self/status') ? false : 'there is no /proc on this system';

/** Enough to be counted: processor time comes in ticks of 10 ms. */
const busyMs = 60;

t.test('the memory, descriptors and processor time of a process are told', { skip }, async (t) => {
  const before = await readProcessFigures(process.pid);
  const machineBefore = await readMachineCpuSeconds();
  const files = [0, 1, 2].map(() => openSync('/dev/null', 'r'));
  const startUsage = process.cpuUsage();
  while (process.cpuUsage(startUsage).user < busyMs * 1_000) Math.sqrt(2);
  const after = await readProcessFigures(process.pid);
  const machineAfter = await readMachineCpuSeconds();
  for (const file of files) closeSync(file);
  if (before === undefined || after === undefined) throw new Error('There are no figures');
  t.equal(after.descriptorCount - before.descriptorCount, 3);
  const residentRatio = after.residentBytes / process.memoryUsage.rss();
  t.ok(residentRatio > 0.8 && residentRatio < 1.25, `${residentRatio} of what the process says`);
  t.ok(after.peakResidentBytes >= after.residentBytes);
  const usedSeconds = after.cpuSeconds - before.cpuSeconds;
  t.ok(usedSeconds > 0.03 && usedSeconds < 1, `${usedSeconds} s of processor time`);
  t.ok((machineAfter ?? 0) - (machineBefore ?? 0) >= 0.03, 'the machine has used as much');
});

t.test('nothing is told of a process that has ended', async (t) => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  t.equal(await readProcessFigures(pid), undefined);
});

t.test('a disk has a file system and free space; a missing directory has none', async (t) => {
  const { fileSystem, freeBytes } = await readDiskFacts('/');
  t.match(fileSystem, skip === false ? /^\w+ on \S+$/ : 'unknown file system');
  t.ok(freeBytes > 0);
  if (skip === false) t.match((await readDiskFacts('/proc/self')).fileSystem, /^proc on /);
  await t.rejects(readDiskFacts('/nonexistent'), { code: 'ENOENT' });
});
