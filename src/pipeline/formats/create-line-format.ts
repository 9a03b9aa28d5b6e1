import { JavascriptLineKernel } from './javascript-line-kernel.js';
import type { LineFormat, LineFormatName } from './line-format.js';
import { RawFormat } from './raw-format.js';
import { SplicingFormat } from './splicing-format.js';
import { loadWasmLineKernel } from './wasm-line-kernel.js';

/**
 * A format by its name. Each one has buffers of its own, so one caller may hold what it gave while another one
 * formats. Where the process has no WebAssembly (`node --jitless`) the same bytes are made about ten times slower.
 *
 * @throws {Error} when the kernel cannot be read, which means that the installation is incomplete
 */
export async function createLineFormat(name: LineFormatName): Promise<LineFormat> {
  if (name === 'raw') return new RawFormat();
  const kernel = (await loadWasmLineKernel()) ?? new JavascriptLineKernel();
  return new SplicingFormat(name, kernel);
}
