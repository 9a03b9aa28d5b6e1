import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';

const lockDirectoryName = 'running.lock';

/** A name of this form belongs to a process that listens, or has died; others are still being made. */
const visibleNamePattern = /^[0-9a-f]{16}$/;

/** How long another process may take to answer before it counts as one that holds the directory but is stopped. */
const answerMsMax = 1_000;

/** How often a connection that breaks without an answer is tried again, and after what pause. */
const askTriesMax = 5;
const askPauseMs = 20;

interface Answer {
  readonly word: string;
  readonly holder: string;
}

/** What the one that is asked answers: it has the directory, or will have it, or gives way. */
const answers = { held: 'held', ahead: 'ahead', yours: 'yours' } as const;

/** One that is stopped still has its files open. */
const silentHolder: Answer = { word: answers.held, holder: 'a process that does not answer' };

/**
 * Keeps a directory to one process at a time, without anything that a crash could leave locked.
 *
 * Node has no `flock`. Each process that wants the directory listens on a Unix socket with a name of its
 * own in `running.lock/`, then asks all others there. The kernel refuses connections to a socket from the
 * moment its process dies, whatever the way, also across containers that share the directory on one
 * machine, where process ids say nothing. Machines that share a directory over a network are not kept
 * apart.
 *
 *     starting --asked by one with a smaller name--> yielded (gives up)
 *     starting --every other one is dead or has yielded--> held --release()--> gone
 *
 * Two that start together ask each other; each answers by the names, in its one thread, so one of them
 * yields. One that is held refuses everybody. Names are never used twice, so a dead one's may be removed
 * by anyone at any time.
 */
export class DirectoryLock {
  readonly #holder: string;
  readonly #name = randomBytes(8).toString('hex');
  readonly #directory: string;
  readonly #server: Server;
  #descriptor = -1;
  /** Whether others can see this process's name. */
  #isVisible = false;
  #state: 'starting' | 'yielded' | 'held' | 'released' = 'starting';

  private constructor(directory: string, holder: string) {
    this.#directory = `${directory}/${lockDirectoryName}`;
    this.#holder = `${holder}, process ${process.pid}`;
    this.#server = createServer((socket) => this.#answer(socket));
  }

  /**
   * @param directory an existing directory
   * @param holder who takes it, for the error of the next one
   *
   * Throws `directory_in_use` when another process has it, `directory_invalid` when it cannot be locked.
   */
  static async take(directory: string, holder: string): Promise<DirectoryLock> {
    const lock = new DirectoryLock(directory, holder);
    try {
      await lock.#listen(directory);
      const other = await lock.#findOther();
      if (other !== undefined) throw inUse(directory, other);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return lock;
  }

  /** Idempotent. */
  async release(): Promise<void> {
    if (this.#state === 'released') return;
    this.#state = 'released';
    if (this.#isVisible) this.#removeName();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    if (this.#descriptor !== -1) closeSync(this.#descriptor);
  }

  #removeName(): void {
    try {
      rmSync(`${this.#directory}/${this.#name}`, { force: true });
    } catch {
      // On a disk that has become read-only the name stays, as that of a process that died does.
    }
  }

  /** The socket gets its visible name only when it listens: until then it would be taken for a dead one. */
  async #listen(directory: string): Promise<void> {
    const hiddenName = `new-${this.#name}`;
    try {
      makeUnlessThere(this.#directory);
      this.#descriptor = openSync(this.#directory, 'r');
      // The names of the dead go first: on a disk without inodes left, one of theirs is needed for this one.
      await this.#removeDead();
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(this.#path(hiddenName), resolve);
      });
      renameSync(`${this.#directory}/${hiddenName}`, `${this.#directory}/${this.#name}`);
      this.#isVisible = true;
    } catch (cause) {
      throw new ChukchaError(
        'directory_invalid',
        `Directory ${directory} cannot be locked (${errorMessage(cause)}): choose one on a local disk that this user may write to.`,
        { cause },
      );
    }
    this.#server.unref();
  }

  async #removeDead(): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      if (!(await isDead(this.#path(name)))) continue;
      // What is still being made does not listen yet; it has no visible name.
      if (visibleNamePattern.test(name)) rmSync(`${this.#directory}/${name}`, { force: true });
    }
  }

  /** Asks every other process that has a name here. Returns who has the directory; `undefined` is this process. */
  async #findOther(): Promise<string | undefined> {
    for (const name of readdirSync(this.#directory)) {
      if (!visibleNamePattern.test(name) || name === this.#name) continue;
      const answer = await this.#askUntilClear(name);
      if (answer === undefined) rmSync(`${this.#directory}/${name}`, { force: true });
      else if (answer.word !== answers.yours) return answer.holder;
    }
    // Between the last answer and this line nothing else of this process runs, so the state decides.
    if (this.#state !== 'starting') return 'a process that started at the same time';
    this.#state = 'held';
    return undefined;
  }

  /** A connection that breaks is most likely one to a process that just gives up; a name that stays is held. */
  async #askUntilClear(name: string): Promise<Answer | undefined> {
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#ask(name);
      if (answer !== 'unclear') return answer;
      if (tries === askTriesMax) return silentHolder;
      await new Promise((resolve) => setTimeout(resolve, askPauseMs));
    }
  }

  /** Tells the other one this name and takes its answer; `undefined` when nobody listens there any more. */
  #ask(name: string): Promise<Answer | undefined | 'unclear'> {
    return new Promise((resolve) => {
      const socket = connect(this.#path(name));
      let text = '';
      let isRefused = false;
      const timer = setTimeout(() => {
        resolve(silentHolder);
        socket.destroy();
      }, answerMsMax);
      socket.setEncoding('utf8');
      socket.on('connect', () => socket.write(`${this.#name}\n`));
      socket.on('data', (piece: string) => {
        text += piece;
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        isRefused = isDeadError(error);
      });
      socket.on('close', () => {
        clearTimeout(timer);
        const [word = '', holder] = text.split('\n');
        if (holder !== undefined) resolve({ word, holder });
        else resolve(isRefused ? undefined : 'unclear');
      });
    });
  }

  #answer(socket: Socket): void {
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(answerMsMax, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (piece: string) => {
      text += piece;
      if (!text.includes('\n')) return;
      socket.end(`${this.#decide(text.slice(0, -1))}\n${this.#holder}`);
    });
  }

  #decide(otherName: string): string {
    if (this.#state === 'held') return answers.held;
    if (this.#state === 'starting' && this.#name < otherName) return answers.ahead;
    if (this.#state === 'starting') this.#state = 'yielded';
    return answers.yours;
  }

  /** The name of a socket has at most 107 bytes; by way of the descriptor any directory is near enough. */
  #path(name: string): string {
    return process.platform === 'linux'
      ? `/proc/self/fd/${this.#descriptor}/${name}`
      : `${this.#directory}/${name}`;
  }
}

/** Not with `recursive`, which tells a read-only disk as `ENOENT`. */
function makeUnlessThere(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Whether nobody listens behind a name any more. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      resolve(false);
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(isDeadError(error)));
  });
}

function isDeadError({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

function inUse(directory: string, holder: string): ChukchaError {
  return new ChukchaError(
    'directory_in_use',
    `Directory ${directory} is in use by ${holder}: stop that one, or choose another directory.`,
  );
}
