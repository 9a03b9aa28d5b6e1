// Compiles `assembly/line-kernel.ts` to `assembly/line-kernel.wasm`, which is checked in, so that a build needs
// no second compiler. With `--check` nothing is written; the exit code says whether the two belong together.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main } from 'assemblyscript/asc';
import { rootDirectory } from './build-outputs.js';

const source = 'assembly/line-kernel.ts';
const artifact = join(rootDirectory, 'assembly', 'line-kernel.wasm');

const { error, stderr, binary } = await compile();
if (error) {
  console.error(`${source} does not compile: ${error.message}\n${stderr.toString()}`);
  process.exitCode = 1;
} else if (!process.argv.includes('--check')) {
  writeFileSync(artifact, binary);
  console.log(`assembly/line-kernel.wasm has ${binary.length} bytes.`);
} else if (!readFileSync(artifact).equals(binary)) {
  console.error(
    `assembly/line-kernel.wasm is not what ${source} compiles to. Run: npm run build:kernel`,
  );
  process.exitCode = 1;
}

/** No garbage collector and no allocation: the host lays out the memory. */
async function compile() {
  let binary = new Uint8Array();
  const flags = ['--outFile', 'line-kernel.wasm', '--optimizeLevel', '3', '--shrinkLevel', '0'];
  const result = await main(
    [source, ...flags, '--enable', 'simd', '--runtime', 'stub', '--use', 'abort=', '--noAssert'],
    {
      readFile: (name, base) => readIfThere(join(base, name)),
      writeFile: (_name, contents) => {
        binary = contents;
      },
      listFiles: () => [],
    },
  );
  return { ...result, binary };
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // The compiler asks for several candidates of a name.
  }
}
