// What `npm test` runs: builds, runs all tests (or the files that are given, as sources or as built), and
// ends with the line `N passed, N failed, N skipped`. Other arguments go to tap.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import {
  modulesWithCode,
  packageDirectories,
  pruneBuildOutputs,
  rootDirectory,
} from './build-outputs.js';

const require = createRequire(import.meta.url);
const tapProgram = join(packageRoot('tap'), require('tap/package.json').bin.tap);
const tscProgram = join(packageRoot('typescript'), require('typescript/package.json').bin.tsc);
const coverageSummary = join(rootDirectory, '.tap', 'report', 'coverage-summary.json');

const { files, options } = splitArguments(process.argv.slice(2));
buildSources();
buildTap();
process.exitCode = await runTests();

function splitArguments(given) {
  const isFile = (argument) => /\.test\.[jt]s$/.test(argument);
  return {
    files: given.filter(isFile).map((file) => builtFile(relative(rootDirectory, file))),
    options: given.filter((argument) => !isFile(argument)),
  };
}

/** `test/a.test.ts` is run as `build/test/a.test.js`, and a plugin's test likewise. */
function builtFile(file) {
  return file.replace(/^(plugins\/[^/]+\/)?test\//, '$1build/test/').replace(/\.ts$/, '.js');
}

function buildSources() {
  mustRun(tscProgram, ['-b']);
  if (pruneBuildOutputs()) mustRun(tscProgram, ['-b']);
}

/**
 * tap's own TypeScript plugin needs the JavaScript API of the compiler, which TypeScript 7 does not have
 * (the tests are compiled before, so nothing is lost). Leaving it out is set in `package.json`, but takes
 * effect only when tap has generated its main class anew, which `npm ci` does not do.
 */
function buildTap() {
  const requireFromTap = createRequire(require.resolve('tap'));
  const generated = readFileSync(requireFromTap.resolve('@tapjs/test/built'), 'utf8');
  if (!generated.includes('@tapjs/typescript')) return;
  console.log('Preparing tap once for this installation ...');
  mustRun(tapProgram, ['build']);
}

async function runTests() {
  const coverage = files.length > 0 ? ['--disable-coverage'] : ['--coverage-report=json-summary'];
  const { code, output } = await runTap(['--reporter=tap', ...coverage, ...options, ...files]);
  if (files.length === 0) reportCoverage();
  const total =
    /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, todo: (\d+))?(?:, skip: (\d+))? \}/m.exec(
      output,
    );
  if (total === null) {
    console.log('tap ended without a summary.\n0 passed, 1 failed, 0 skipped');
    return code === 0 ? 1 : code;
  }
  const [passed, failed, todo, skipped] = total.slice(1).map((count) => Number(count ?? 0));
  if (code !== 0 && failed === 0) {
    console.log(
      'No test failed, but tap did: most likely coverage is below a limit in the tap section of package.json.',
    );
  }
  console.log(`${passed} passed, ${failed} failed, ${todo + skipped} skipped`);
  return code;
}

/** One line for each folder; `npx tap report` has the files and the lines that were not reached. */
function reportCoverage() {
  if (!existsSync(coverageSummary)) return;
  const summary = JSON.parse(readFileSync(coverageSummary, 'utf8'));
  const folders = new Map();
  for (const [path, counts] of Object.entries(summary)) {
    const folder = path === 'total' ? 'all' : relative(rootDirectory, dirname(path));
    const sums = folders.get(folder) ?? { lines: [0, 0], branches: [0, 0], functions: [0, 0] };
    folders.set(folder, sums);
    for (const [kind, sum] of Object.entries(sums)) {
      sum[0] += counts[kind].covered;
      sum[1] += counts[kind].total;
    }
  }
  console.log(`\n${'Covered, in %'.padEnd(40)}    lines  branches functions`);
  for (const [folder, sums] of [...folders].sort()) {
    const shares = Object.values(sums).map(([covered, total]) =>
      (total === 0 ? 100 : Math.floor((1000 * covered) / total) / 10).toFixed(1).padStart(9),
    );
    console.log(`${folder.padEnd(40)}${shares.join(' ')}`);
  }
  reportModulesNeverLoaded(new Set(Object.keys(summary)));
}

/** Coverage knows only modules that some test loaded; this names the others. */
function reportModulesNeverLoaded(loaded) {
  const missing = packageDirectories().flatMap((directory) =>
    modulesWithCode(directory)
      .map((module) => join(directory, module))
      .filter((module) => !loaded.has(module)),
  );
  if (missing.length > 0) console.log('Not loaded by any test, and so not counted above:');
  for (const module of missing) console.log(`  ${relative(rootDirectory, module)}`);
  console.log('');
}

/** Runs tap, showing what matters of its output as it comes, and resolves with its exit code and that. */
function runTap(tapArguments) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tapProgram, ...tapArguments], {
      cwd: rootDirectory,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const shown = [];
    const isShown = createLineFilter();
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      if (!isShown(line)) return;
      shown.push(line);
      console.log(line);
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, output: shown.join('\n') }));
  });
}

/**
 * Picks the lines of TAP that people want to see: one for each file, what failed with its details, what
 * was skipped, and the sums. tap's own reporters for people draw for terminals, and into a pipe they
 * sometimes end before they have written everything.
 */
function createLineFilter() {
  let detailsIndent = -1;
  let failed = false;
  return (line) => {
    const indent = line.search(/\S/);
    const text = line.trim();
    if (detailsIndent !== -1) {
      if (indent === detailsIndent && text === '...') detailsIndent = -1;
      return true;
    }
    if (failed && text === '---') detailsIndent = indent;
    failed = text.startsWith('not ok ');
    if (failed || detailsIndent !== -1) return true;
    if (indent === 0) return /^(ok |# \{|# time=|Bail out!)/.test(text);
    return /^ok .* # (SKIP|TODO)/i.test(text);
  };
}

function mustRun(program, programArguments) {
  const { status, error } = spawnSync(process.execPath, [program, ...programArguments], {
    cwd: rootDirectory,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return;
  console.error(
    `${relative(rootDirectory, program)} ${programArguments.join(' ')} failed${error ? `: ${error.message}` : ''}`,
  );
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(status ?? 1);
}

function packageRoot(name) {
  return join(require.resolve(`${name}/package.json`), '..');
}
