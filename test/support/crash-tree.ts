import { CrashContent, type CrashMode, pickSome } from './crash-content.js';
import type { SeededRandom } from './seeded-random.js';

type Names = Map<string, Inode>;

export interface FileInode {
  readonly kind: 'file';
  readonly content: CrashContent;
}

interface DirectoryInode {
  readonly kind: 'directory';
  readonly names: Names;
  readonly durableNames: Names;
}

export type Inode = FileInode | DirectoryInode;

/** A name that was given to something, or taken away. */
interface NameEdit {
  readonly directory: DirectoryInode;
  readonly name: string;
  readonly inode: Inode | undefined;
}

/** The edits of one call, which a power cut takes or leaves together. */
type NameChange = readonly NameEdit[];

/** The names of a disk: as programs see them, and as the disk has them. */
export class CrashTree {
  readonly #root: DirectoryInode;
  /** What the disk does not have yet, in the order in which it came. */
  #unsynced: readonly NameChange[];

  constructor(root = newDirectory(), unsynced: readonly NameChange[] = []) {
    this.#root = root;
    this.#unsynced = unsynced;
  }

  /** Everything that has a name. */
  inodes(): Set<Inode> {
    const found = new Set<Inode>();
    const collect = (inode: Inode): void => {
      found.add(inode);
      if (inode.kind === 'directory') for (const child of inode.names.values()) collect(child);
    };
    collect(this.#root);
    return found;
  }

  list(path: string): readonly (readonly [string, Inode])[] {
    return [...this.#directory(path).names];
  }

  file(path: string): FileInode {
    const inode = this.#inode(path);
    if (inode.kind !== 'file') throw systemError('EISDIR', path);
    return inode;
  }

  has(path: string): boolean {
    const { directory, name } = this.#place(path);
    return directory.names.has(name);
  }

  addFile(path: string): FileInode {
    const inode: FileInode = { kind: 'file', content: new CrashContent() };
    if (this.has(path)) throw systemError('EEXIST', path);
    this.#change([{ ...this.#place(path), inode }]);
    return inode;
  }

  addDirectory(path: string): void {
    this.#change([{ ...this.#place(path), inode: newDirectory() }]);
  }

  remove(path: string): void {
    this.file(path);
    this.#change([{ ...this.#place(path), inode: undefined }]);
  }

  rename(from: string, to: string): void {
    const inode = this.#inode(from);
    this.#change([
      { ...this.#place(from), inode: undefined },
      { ...this.#place(to), inode },
    ]);
  }

  /** Returns what makes durable the names that were changed in the directory up to now. */
  beginSync(path: string): () => void {
    const directory = this.#directory(path);
    return this.#beginSync((edit) => edit.directory === directory);
  }

  /** Returns what makes the name itself durable. */
  beginSyncOf(path: string): () => void {
    const inode = this.#inode(path);
    return this.#beginSync((edit) => edit.inode === inode);
  }

  afterCrash(mode: CrashMode, random: SeededRandom): CrashTree {
    if (mode === 'process dies') return new CrashTree(this.#root, this.#unsynced);
    if (mode === 'power cut, anything left') pickSome(this.#unsynced, random).forEach(makeDurable);
    return new CrashTree(leftOf(this.#root, mode, random) as DirectoryInode);
  }

  #beginSync(concerns: (edit: NameEdit) => boolean): () => void {
    const covered = new Set(this.#unsynced.filter((change) => change.some(concerns)));
    return () => {
      for (const change of this.#unsynced) if (covered.has(change)) makeDurable(change);
      this.#unsynced = this.#unsynced.filter((change) => !covered.has(change));
    };
  }

  #change(change: NameChange): void {
    for (const edit of change) applyEdit(edit.directory.names, edit);
    this.#unsynced = [...this.#unsynced, change];
  }

  #place(path: string): { readonly directory: DirectoryInode; readonly name: string } {
    const slash = path.lastIndexOf('/');
    return { directory: this.#directory(path.slice(0, slash)), name: path.slice(slash + 1) };
  }

  #inode(path: string): Inode {
    if (path === '') return this.#root;
    const { directory, name } = this.#place(path);
    const inode = directory.names.get(name);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode;
  }

  #directory(path: string): DirectoryInode {
    const inode = this.#inode(path);
    if (inode.kind !== 'directory') throw systemError('ENOTDIR', path);
    return inode;
  }
}

/** An error as the system gives it: without a stack, which would take longer than all the rest. */
export function systemError(code: string, path: string): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = Object.assign(new Error(`${code}: simulated, ${path}`), { code });
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

function newDirectory(): DirectoryInode {
  return { kind: 'directory', names: new Map(), durableNames: new Map() };
}

function applyEdit(names: Names, { name, inode }: NameEdit): void {
  if (inode === undefined) names.delete(name);
  else names.set(name, inode);
}

function makeDurable(change: NameChange): void {
  for (const edit of change) applyEdit(edit.directory.durableNames, edit);
}

/** What has a durable name below, with what the power cut left of the files. */
function leftOf(inode: Inode, mode: CrashMode, random: SeededRandom): Inode {
  if (inode.kind === 'file') {
    return { kind: 'file', content: inode.content.afterCrash(mode, random) };
  }
  const left = newDirectory();
  for (const [name, child] of inode.durableNames) {
    const childLeft = leftOf(child, mode, random);
    left.names.set(name, childLeft);
    left.durableNames.set(name, childLeft);
  }
  return left;
}
