import { refuseOnce } from '@chukcha/http-door/listening';
import {
  type Input,
  type InputBatch,
  type InputContext,
  PluginError,
  type PluginOptions,
} from '@chukcha/plugin-api';
import { DatagramListener } from './datagram-listener.js';
import type { Framing } from './frame-splitter.js';
import { LineGatherer } from './line-gatherer.js';
import { LineMaker } from './line-maker.js';
import type { ListenerParts } from './listener-parts.js';
import { StreamListener } from './stream-listener.js';
import { SyslogFigures } from './syslog-figures.js';

/** Bytes of a line beside those of the message, with names of all parts: some 300. */
const jsonFrameBytes = 1024;

/** A control character becomes `\u0000`: the most that one byte becomes. */
const jsonBytesPerByte = 6;

/** How many ports are tried when any will do, until one is free for TCP and UDP alike. */
const portTriesMax = 10;

/** Listens. The options are those of the plugin's schema. */
export function open(options: PluginOptions, context: InputContext): Promise<SyslogInput> {
  return SyslogInput.open(options, context);
}

/**
 * A server for syslog. The protocol has no answers: a client cannot be told that its messages are in the bus.
 * When the bus is away, TCP is not read any more, which makes its senders wait; datagrams are dropped and
 * counted, since nothing makes their senders wait.
 */
export class SyslogInput implements Input {
  /** The port, the same for TCP and UDP. */
  readonly port: number;
  readonly #gatherer: LineGatherer;
  readonly #listeners: readonly (StreamListener | DatagramListener)[];
  #closed: Promise<void> | undefined;

  private constructor(
    port: number,
    gatherer: LineGatherer,
    listeners: readonly (StreamListener | DatagramListener)[],
  ) {
    this.port = port;
    this.#gatherer = gatherer;
    this.#listeners = listeners;
  }

  /** Throws a `PluginError` of kind `operator`. */
  static async open(options: PluginOptions, context: InputContext): Promise<SyslogInput> {
    refuseOnce('syslog', context);
    checkTransport(options);
    const figures = new SyslogFigures(context);
    const streams: StreamListener[] = [];
    const gatherer = new LineGatherer({
      batchBytesMax: context.batchBytesMax,
      inFlightBytesMax: options['in_flight_bytes_max'] as number,
      onRoom: () => {
        for (const stream of streams) stream.resume();
      },
      onLost: (lineCount) => figures.lost(lineCount),
    });
    const form = options['form'] as 'json' | 'raw';
    const frameBytesMax = Math.min(
      options['message_bytes_max'] as number,
      form === 'raw'
        ? context.messageBytesMax - 1
        : Math.floor((context.messageBytesMax - jsonFrameBytes) / jsonBytesPerByte),
    );
    const parts = {
      gatherer,
      figures,
      lines: new LineMaker(form, frameBytesMax, figures),
      framing: options['framing'] as Framing,
      frameBytesMax,
      log: context.log,
    };
    const { port, listeners } = await listen(options, parts);
    streams.push(...listeners.filter((listener) => listener instanceof StreamListener));
    context.log.info('Listening.', {
      host: options['host'] as string,
      port,
      transport: listeners.map(({ transport }) => transport).join(' and '),
    });
    return new SyslogInput(port, gatherer, listeners);
  }

  /** Yields what comes, and after an abort what has come; connections are closed then. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const stop = (): void => this.#stop();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      yield* this.#gatherer.batches(signal);
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#listeners.map((listener) => listener.close())).then(
      () => undefined,
    );
    return this.#closed;
  }

  #stop(): void {
    // What goes wrong while a socket is closed changes nothing: it is closed.
    void this.close().catch(() => undefined);
  }
}

function checkTransport(options: PluginOptions): void {
  const needsTls = ['tls_cert', 'tls_key', 'tls_client_ca'].some(
    (name) => options[name] !== undefined,
  );
  if (!needsTls || options['transport'] === 'tcp') return;
  throw new PluginError(
    'operator',
    `TLS is for TCP, but transport is ${options['transport']}: set transport=tcp, and start another input for UDP if it is wanted.`,
  );
}

/** With port 0 both get the same free one, so that a client needs to know one. */
async function listen(
  options: PluginOptions,
  parts: ListenerParts,
): Promise<{ port: number; listeners: (StreamListener | DatagramListener)[] }> {
  const transport = options['transport'] as 'both' | 'tcp' | 'udp';
  const wantedPort = options['port'] as number;
  for (let tries = 1; ; tries += 1) {
    const stream = transport === 'udp' ? undefined : await StreamListener.open(options, parts);
    const port = stream?.port ?? wantedPort;
    if (transport === 'tcp' && stream !== undefined) return { port, listeners: [stream] };
    try {
      const datagram = await DatagramListener.open({ ...options, port }, parts);
      const listeners = stream === undefined ? [datagram] : [stream, datagram];
      return { port: datagram.port, listeners };
    } catch (error) {
      await stream?.close();
      if (wantedPort !== 0 || tries >= portTriesMax) throw error;
    }
  }
}
