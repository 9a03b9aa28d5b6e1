import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import type { FormattedLines } from './line-format.js';
import { type KernelTask, type LineKernel, messageKey } from './line-kernel.js';

/** The part of the global `WebAssembly` that is used; the types of Node do not have it. */
interface WebAssemblyApi {
  instantiate(code: Uint8Array): Promise<{ readonly instance: { readonly exports: object } }>;
}

/** What `assembly/line-kernel.ts` exports. Places are bytes of its memory. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pageCount: number): number };
  readonly consumedBytes: { readonly value: number };
  readonly cutCount: { readonly value: number };
  readonly wrappedCount: { readonly value: number };
  workspaceStart(): number;
  setHead(
    idStart: number,
    idBytes: number,
    restStart: number,
    restBytes: number,
    keyBytes: number,
    messageBytesMax: number,
  ): void;
  formatLines(
    kind: number,
    inputStart: number,
    inputEnd: number,
    outputStart: number,
    outputBytesMax: number,
    offset: number,
    isUtf8: boolean,
  ): number;
}

const artifact = new URL('../../../../assembly/line-kernel.wasm', import.meta.url);

const kindNumbers = { envelope: 0, json: 1 } as const;

const PAGE_BYTES = 65_536;

/** Blocks of 16 bytes may be read and written across an end, and a tail may be written before it is measured. */
const slackBytes = 128;

/** The fast kernel, in a memory of its own; `undefined` in a process that has no WebAssembly. */
export async function loadWasmLineKernel(): Promise<LineKernel | undefined> {
  const api = (globalThis as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly;
  if (api === undefined) return undefined;
  const { instance } = await api.instantiate(await readFile(artifact));
  return new WasmLineKernel(instance.exports as KernelExports);
}

/** Runs the kernel in memory that grows to what the largest task needed: its lines and its limits together. */
class WasmLineKernel implements LineKernel {
  readonly #exports: KernelExports;
  #memory: Uint8Array;

  constructor(exports: KernelExports) {
    this.#exports = exports;
    this.#memory = new Uint8Array(exports.memory.buffer);
  }

  format({ kind, lines, offset, head, outBytesMax, messageBytesMax }: KernelTask): FormattedLines {
    const { beforeOffset, afterOffset } = head;
    const idStart = this.#exports.workspaceStart();
    const restStart = idStart + beforeOffset.length + slackBytes;
    const restBytes = afterOffset.length + messageKey.length;
    const inputStart = restStart + restBytes + slackBytes;
    const inputEnd = inputStart + lines.length;
    const outputStart = inputEnd + slackBytes;
    // The last message is written before it is known whether it has room, so there is space for one more.
    this.#reserve(outputStart + outBytesMax + messageBytesMax + slackBytes);
    this.#memory.set(beforeOffset, idStart);
    this.#memory.set(afterOffset, restStart);
    this.#memory.set(messageKey, restStart + afterOffset.length);
    this.#memory.set(lines, inputStart);
    const { setHead, formatLines } = this.#exports;
    setHead(idStart, beforeOffset.length, restStart, restBytes, messageKey.length, messageBytesMax);
    const outputEnd = formatLines(
      kindNumbers[kind],
      inputStart,
      inputEnd,
      outputStart,
      outBytesMax,
      offset,
      isUtf8(lines),
    );
    return {
      bytes: this.#memory.subarray(outputStart, outputEnd >>> 0),
      consumed: this.#exports.consumedBytes.value >>> 0,
      cutCount: this.#exports.cutCount.value,
      wrappedCount: this.#exports.wrappedCount.value,
    };
  }

  /** Views of the memory from before it grew are empty from then on. */
  #reserve(byteCount: number): void {
    const missing = byteCount - this.#memory.length;
    if (missing <= 0) return;
    this.#exports.memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
  }
}
