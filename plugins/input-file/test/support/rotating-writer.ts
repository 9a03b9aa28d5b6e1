import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A program that writes lines to `app.log` and rotates it in every way; each line is unique. */
export class RotatingWriter {
  /** All lines that have their newline. */
  readonly lines = new Set<string>();
  readonly #path: string;
  readonly #random: (below: number) => number;
  /** Half of the writers have lines so long that one proves where a file comes from. */
  readonly hasLongLines: boolean;
  #lineCount = 0;
  #unfinished: string | undefined;

  constructor(directory: string, random: (below: number) => number) {
    this.#path = join(directory, 'app.log');
    this.#random = random;
    this.hasLongLines = random(2) === 0;
    writeFileSync(this.#path, '');
  }

  append(): void {
    this.finishLine();
    for (let count = this.#random(20); count >= 0; count -= 1) {
      const line = this.#nextLine();
      appendFileSync(this.#path, `${line}\n`);
      this.lines.add(line);
    }
  }

  startLine(): void {
    this.finishLine();
    this.#unfinished = this.#nextLine();
    appendFileSync(this.#path, this.#unfinished);
  }

  finishLine(): void {
    if (this.#unfinished === undefined) return;
    appendFileSync(this.#path, '\n');
    this.lines.add(this.#unfinished);
    this.#unfinished = undefined;
  }

  /** Shifts the numbers; the oldest file must have been read, because it goes. */
  rename(): void {
    this.finishLine();
    this.#shift();
    renameSync(this.#path, `${this.#path}.1`);
    writeFileSync(this.#path, '');
  }

  copyAndTruncate(): void {
    this.finishLine();
    this.#shift();
    copyFileSync(this.#path, `${this.#path}.1`);
    truncateSync(this.#path);
  }

  packOldest(): void {
    const path = this.#rotated().at(-1);
    if (path === undefined || path.endsWith('.gz')) return;
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)));
    rmSync(path);
  }

  /** Of a few bytes nobody can tell a replacement from another file that begins in the same way. */
  replace(): void {
    this.finishLine();
    if (!this.hasLongLines) return;
    const line = this.#nextLine();
    writeFileSync(`${this.#path}~next`, `${readFileSync(this.#path, 'utf8')}${line}\n`);
    this.lines.add(line);
    renameSync(`${this.#path}~next`, this.#path);
  }

  /** Only for when everything was read. */
  truncate(): void {
    truncateSync(this.#path);
  }

  /** As {@link RotatingWriter.truncate}; the new file often gets the same inode. */
  recreate(): void {
    rmSync(this.#path);
    writeFileSync(this.#path, '');
  }

  /** As {@link RotatingWriter.truncate}. */
  deleteOldest(): void {
    const path = this.#rotated().at(-1);
    if (path !== undefined) rmSync(path);
  }

  #shift(): void {
    for (const path of this.#rotated().toReversed()) {
      const [, number, ending = ''] = /\.(\d+)(\.gz)?$/.exec(path) ?? [];
      renameSync(path, `${this.#path}.${Number(number) + 1}${ending}`);
    }
  }

  #rotated(): string[] {
    const paths: string[] = [];
    for (let number = 1; ; number += 1) {
      const found = ['', '.gz']
        .map((ending) => `${this.#path}.${number}${ending}`)
        .filter((path) => existsSync(path));
      if (found.length === 0 && number > 20) return paths;
      paths.push(...found);
    }
  }

  #nextLine(): string {
    this.#lineCount += 1;
    return `${this.#lineCount} ${'.'.repeat(this.#random(60) + (this.hasLongLines ? 260 : 0))}`;
  }
}
