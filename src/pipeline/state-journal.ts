import { crc32, formatCrc32 } from '../common/crc32.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { replaceFile } from '../storage/atomic-file.js';
import { type Disk, type DiskFile, hasSystemCode } from '../storage/disk.js';

/** The first line of a journal; another version is another line. */
const headerLine = '{"format":"chukcha-state","version":1}';

/** The journal is written anew when it has grown by this much and by as much as it was then. */
const compactBytesMin = 256 * 1024;

/**
 * A small map that survives a kill of the process at any moment, and a crash of the machine except for
 * its last moments unless `sync` is called. It is a text file: a header, then one line for each change,
 * `<crc32 of the rest in 8 hexadecimal digits> [key,value]`; `null` removes a key. A change is one write
 * at the end of the file; a torn last line is cut off at the next opening. When the file has grown much
 * it is replaced by one with the present entries only.
 */
export class StateJournal {
  /** The path of the file. */
  readonly path: string;
  readonly #disk: Disk;
  readonly #lane = new Mutex();
  readonly #entries: Map<string, unknown>;
  #file: DiskFile;
  #size: number;
  #compactAt: number;
  #closed = false;

  private constructor(
    disk: Disk,
    path: string,
    file: DiskFile,
    size: number,
    entries: Map<string, unknown>,
  ) {
    this.#disk = disk;
    this.path = path;
    this.#file = file;
    this.#size = size;
    this.#entries = entries;
    this.#compactAt = 2 * size + compactBytesMin;
  }

  /**
   * Opens or creates the file. Throws `directory_invalid` for one that is not a journal of this version,
   * or that is damaged before its last line.
   */
  static async open(disk: Disk, path: string): Promise<StateJournal> {
    const content = await readOrCreate(disk, path);
    const { entries, size } = replay(content, path);
    const file = await disk.openFile(path, 'write');
    if (size < content.length) await file.truncate(size);
    return new StateJournal(disk, path, file, size, entries);
  }

  /** What the journal holds now, also while another process writes to it; empty when there is none. */
  static async read(disk: Disk, path: string): Promise<ReadonlyMap<string, unknown>> {
    try {
      return replay(await disk.readFile(path), path).entries;
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT')) return new Map();
      throw error;
    }
  }

  get(key: string): unknown {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<readonly [key: string, value: unknown]> {
    return this.#entries.entries();
  }

  /** Sets a JSON value, or removes the key with `undefined`. Survives a kill of the process when it resolves. */
  set(key: string, value: unknown): Promise<void> {
    if (value === undefined) this.#entries.delete(key);
    else this.#entries.set(key, value);
    const line = formatLine(key, value);
    return this.#lane.run(async () => {
      await this.#append(line);
      if (this.#size > this.#compactAt) await this.#compact();
    });
  }

  /** Survives a crash of the machine when it resolves: everything that was set before the call. */
  sync(): Promise<void> {
    return this.#lane.run(() => this.#file.sync());
  }

  /** Syncs and closes; idempotent. */
  close(): Promise<void> {
    return this.#lane.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      await this.#file.sync();
      await this.#file.close();
    });
  }

  async #append(line: string): Promise<void> {
    const bytes = Buffer.from(line);
    const written = this.#file.writeNow([bytes], this.#size);
    if (written < bytes.length) {
      await this.#file.truncate(this.#size);
      throw new Error(
        `The disk took ${written} of ${bytes.length} bytes of ${this.path}: make room.`,
      );
    }
    this.#size += written;
  }

  async #compact(): Promise<void> {
    const lines = [...this.#entries].map(([key, value]) => formatLine(key, value));
    const content = `${headerLine}\n${lines.join('')}`;
    await replaceFile(this.#disk, this.path, content);
    const file = await this.#disk.openFile(this.path, 'write');
    await this.#file.close();
    this.#file = file;
    this.#size = Buffer.byteLength(content);
    this.#compactAt = 2 * this.#size + compactBytesMin;
  }
}

function formatLine(key: string, value: unknown): string {
  const record = JSON.stringify([key, value ?? null]);
  return `${checksum(record)} ${record}\n`;
}

function checksum(text: string): string {
  return formatCrc32(crc32(text));
}

async function readOrCreate(disk: Disk, path: string): Promise<Buffer> {
  try {
    return await disk.readFile(path);
  } catch (error) {
    if (!hasSystemCode(error, 'ENOENT')) throw error;
  }
  await replaceFile(disk, path, `${headerLine}\n`);
  return Buffer.from(`${headerLine}\n`);
}

function replay(content: Buffer, path: string): { entries: Map<string, unknown>; size: number } {
  const size = content.lastIndexOf(0x0a) + 1;
  const [header, ...lines] = content.toString('utf8', 0, size).split('\n').slice(0, -1);
  if (header !== headerLine) throw damaged(path, 1);
  const entries = new Map<string, unknown>();
  for (const [index, line] of lines.entries()) {
    const record = line.slice(9);
    if (line[8] !== ' ' || line.slice(0, 8) !== checksum(record)) throw damaged(path, index + 2);
    const [key, value] = JSON.parse(record) as [string, unknown];
    if (value === null) entries.delete(key);
    else entries.set(key, value);
  }
  return { entries, size };
}

function damaged(path: string, line: number): ChukchaError {
  return new ChukchaError(
    'directory_invalid',
    `Line ${line} of ${path} is damaged or of another version: restore the file, or remove it to start from the beginning.`,
    { fields: { line } },
  );
}
