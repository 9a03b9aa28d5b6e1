import type { Clock, Timer } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { Mutex } from '../common/mutex.js';
import { formatBytes } from '../common/quantity.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { DiskStatus } from '../protocol/http-api.js';
import type { Disk, DiskSpace } from './disk.js';

/** How much of the disk is kept free; `auto` is the larger of 1 GiB and 5 % of the disk. */
export type DiskReserve = number | 'auto';

export interface DiskGuardOptions {
  /** The data directory; all of it is expected on one file system. */
  readonly directory: string;
  readonly reserve: DiskReserve;
}

export interface DiskGuardPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
}

const GIB = 1024 ** 3;
const autoReserveBytes = 1 * GIB;
const autoReserveShare = 0.05;

/** Inodes that are kept for acknowledgements and the node's own files, unless the disk has very few. */
const reservedInodeCountMax = 1_000;
const reservedInodeShare = 0.01;

/** How often the disk is asked while something is written, or while writes are refused. */
const measureIntervalMs = 1_000;

/** Writes are taken again when this share of the reserve is free on top of it, so that it does not flap. */
const resumeShare = 1 / 16;

/**
 * Decides whether a node takes writes, for all its categories: they share the disk. Below the reserve
 * writes are refused, and taken again by themselves when there is room; reading and acknowledging, which is
 * what makes room, go on all the time. A failed fsync ends writing until the node is started again.
 *
 * Between two measurements the guard counts what is written, so a burst cannot run through the reserve.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  readonly #ports: DiskGuardPorts;
  /** One measurement at a time: each takes off what it counted, and no more than that. */
  readonly #lane = new Mutex();
  #isBlind = false;
  #space: DiskSpace | undefined;
  #writtenSinceBytes = 0;
  #timer: Timer | undefined;
  #refusal: ChukchaError | undefined;
  #failure: ChukchaError | undefined;
  #closed = false;

  private constructor(options: DiskGuardOptions, ports: DiskGuardPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  static async open(options: DiskGuardOptions, ports: DiskGuardPorts): Promise<DiskGuard> {
    const guard = new DiskGuard(options, ports);
    await guard.#measure();
    return guard;
  }

  /** Why no write is taken now; `undefined` when they are. */
  refusal(): ChukchaError | undefined {
    return this.#failure ?? this.#refusal;
  }

  noteWritten(byteCount: number): void {
    this.#writtenSinceBytes += byteCount;
    this.#decide();
    this.#measureLater();
  }

  /** To be called when space was given back: writes need not wait for the next measurement. */
  noteFreed(): Promise<void> {
    return this.#refusal === undefined ? Promise.resolve() : this.#measure();
  }

  /** After a failed fsync nobody knows what the disk has, and a second one may lie: no more writes. */
  stop(error: ChukchaError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ports.log.error('Stopped taking writes.', { error: error.message });
  }

  /** Throws what `stop` was told: what was written may not be durable, although no sync is due any more. */
  requireSynced(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Whether a sync has failed, so that what was written last may not be durable. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  get status(): DiskStatus {
    return {
      totalBytes: this.#space?.totalBytes ?? 0,
      freeBytes: this.#freeBytes(),
      reserveBytes: this.#reserveBytes(),
      freeInodes: this.#space?.inodes?.free ?? null,
      refusal: this.refusal()?.message ?? null,
    };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #measureLater(): void {
    if (this.#closed) return;
    this.#timer ??= this.#ports.clock.after(measureIntervalMs, () => {
      this.#timer = undefined;
      void this.#measure();
    });
  }

  #measure(): Promise<void> {
    return this.#lane.run(async () => {
      const countedBytes = this.#writtenSinceBytes;
      try {
        this.#space = await this.#ports.disk.space(this.#options.directory);
        this.#writtenSinceBytes -= countedBytes;
        this.#isBlind = false;
      } catch (error) {
        // What was counted since the last measurement still holds; the next write asks again.
        if (!this.#isBlind) this.#warnBlind(error);
        this.#isBlind = true;
      }
      this.#decide();
      if (this.#refusal !== undefined) this.#measureLater();
    });
  }

  #warnBlind(error: unknown): void {
    this.#ports.log.warn('The free space of the disk could not be read.', {
      directory: this.#options.directory,
      error: errorMessage(error),
    });
  }

  #decide(): void {
    const before = this.#refusal;
    this.#refusal = this.#findRefusal();
    if (before === undefined && this.#refusal !== undefined) {
      this.#ports.log.warn('Refusing writes until there is room on the disk.', {
        freeBytes: this.#freeBytes(),
        reserveBytes: this.#reserveBytes(),
        freeInodes: this.#space?.inodes?.free,
      });
    } else if (before !== undefined && this.#refusal === undefined) {
      this.#ports.log.info('Taking writes again.', { freeBytes: this.#freeBytes() });
    }
  }

  #findRefusal(): ChukchaError | undefined {
    const reserveBytes = this.#reserveBytes();
    if (this.#space === undefined || reserveBytes === 0) return undefined;
    const margin = this.#refusal === undefined ? 0 : resumeShare;
    const { inodes } = this.#space;
    const freeBytes = this.#freeBytes();
    if (freeBytes < reserveBytes * (1 + margin)) return this.#reserveError(freeBytes, reserveBytes);
    if (inodes === undefined) return undefined;
    const reservedInodes = Math.min(reservedInodeCountMax, inodes.total * reservedInodeShare);
    return inodes.free < reservedInodes * (1 + margin) ? this.#inodeError(inodes.free) : undefined;
  }

  #freeBytes(): number {
    return Math.max(0, (this.#space?.freeBytes ?? 0) - this.#writtenSinceBytes);
  }

  #reserveBytes(): number {
    const { reserve } = this.#options;
    if (reserve !== 'auto') return reserve;
    const shareBytes = Math.round((this.#space?.totalBytes ?? 0) * autoReserveShare);
    return Math.max(autoReserveBytes, shareBytes);
  }

  #reserveError(freeBytes: number, reserveBytes: number): ChukchaError {
    return new ChukchaError(
      'disk_full',
      `The disk of ${this.#options.directory} has ${formatBytes(freeBytes)} free, and ${formatBytes(reserveBytes)} are kept in ` +
        'reserve: acknowledge what was processed, free some, or start the node with a smaller --disk-reserve; nothing was stored.',
      { fields: { freeBytes, reserveBytes } },
    );
  }

  #inodeError(freeInodes: number): ChukchaError {
    return new ChukchaError(
      'disk_full',
      `The file system of ${this.#options.directory} has ${freeInodes} inodes left: remove files there, or acknowledge what was ` +
        'processed; nothing was stored.',
      { fields: { freeInodes } },
    );
  }
}
