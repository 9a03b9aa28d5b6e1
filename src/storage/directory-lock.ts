import { closeSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { randomBytes } from 'node:crypto';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';

const lockName = 'running.lock';

/** How often a lock that its holder left behind is taken away before another process is blamed. */
const takeTriesMax = 10;

/** How long the holder may take to say who it is. */
const holderMsMax = 500;

/**
 * Keeps a directory to one process at a time, without anything that a crash could leave locked.
 *
 * Node has no `flock`. The lock is a listening Unix socket with a fixed name: the kernel refuses
 * connections to it from the moment its process dies, whatever the way, also across containers that
 * share the directory on one machine, where process ids say nothing. Machines that share a directory
 * over a network are not kept apart.
 */
export class DirectoryLock {
  readonly #directory: string;
  readonly #server: Server;
  readonly #descriptor: number;
  #released = false;

  private constructor(directory: string, server: Server, descriptor: number) {
    this.#directory = directory;
    this.#server = server;
    this.#descriptor = descriptor;
  }

  /**
   * @param directory an existing directory
   * @param holder who takes it, for the error of the next one
   *
   * Throws `directory_in_use` when another process has it, `directory_invalid` when it cannot be locked.
   */
  static async take(directory: string, holder: string): Promise<DirectoryLock> {
    const descriptor = openSync(directory, 'r');
    // The name of a socket has at most 107 bytes; by way of the descriptor any directory is near enough.
    const near = process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : directory;
    const ownName = `${lockName}.${randomBytes(6).toString('hex')}`;
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(`${holder}, process ${process.pid}`);
    });
    try {
      await listen(server, `${near}/${ownName}`, directory);
      await claim(directory, near, ownName);
    } catch (error) {
      server.close();
      rmSync(`${directory}/${ownName}`, { force: true });
      closeSync(descriptor);
      throw error;
    }
    server.unref();
    return new DirectoryLock(directory, server, descriptor);
  }

  /** Idempotent. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    rmSync(`${this.#directory}/${lockName}`, { force: true });
    await new Promise((resolve) => this.#server.close(resolve));
    closeSync(this.#descriptor);
  }
}

/** Gives the listening socket the lock's name, which only one can have; takes a dead one's name away first. */
async function claim(directory: string, near: string, ownName: string): Promise<void> {
  const lockPath = `${directory}/${lockName}`;
  for (let tries = 0; tries < takeTriesMax; tries += 1) {
    try {
      linkSync(`${directory}/${ownName}`, lockPath);
      rmSync(`${directory}/${ownName}`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notLockable(directory, error);
    }
    const holder = await askHolder(`${near}/${lockName}`);
    if (holder !== undefined) throw inUse(directory, holder);
    await removeDead(directory, near);
  }
  throw inUse(directory, 'a process that is just starting');
}

/** Moves the dead lock aside, and puts it back when it turns out to be a new one that came in between. */
async function removeDead(directory: string, near: string): Promise<void> {
  const asideName = `${lockName}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(`${directory}/${lockName}`, `${directory}/${asideName}`);
  } catch {
    // Another starting process was faster; the next try sees what it did.
    return;
  }
  const holder = await askHolder(`${near}/${asideName}`);
  if (holder !== undefined) renameSync(`${directory}/${asideName}`, `${directory}/${lockName}`);
  else rmSync(`${directory}/${asideName}`, { force: true });
}

/** What the holder says of itself; `undefined` when nobody listens behind the name any more. */
function askHolder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let said = '';
    const timer = setTimeout(() => {
      resolve('a process that does not answer');
      socket.destroy();
    }, holderMsMax);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      said += text;
    });
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(said || 'a process that does not answer');
    });
  });
}

function listen(server: Server, path: string, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(notLockable(directory, error)));
    server.listen(path, resolve);
  });
}

function inUse(directory: string, holder: string): ChukchaError {
  return new ChukchaError(
    'directory_in_use',
    `Directory ${directory} is in use by ${holder}: stop that one, or choose another directory.`,
  );
}

function notLockable(directory: string, cause: unknown): ChukchaError {
  return new ChukchaError(
    'directory_invalid',
    `Directory ${directory} cannot be locked (${errorMessage(cause)}): choose one on a local disk that this user may write to.`,
    { cause },
  );
}
