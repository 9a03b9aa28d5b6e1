import { request as startRequest } from 'node:http';
import type { Input, InputBatch, InputContext, OptionsSchema } from '@chukcha/plugin-api';
import {
  createTestContext,
  createTestLog,
  createTestMetrics,
  type InputSource,
  soon,
  type TestLog,
  type TestMetrics,
} from '@chukcha/plugin-api/conformance';

/** Opens an input that listens for HTTP. */
export type OpenDoor = (
  options: Readonly<Record<string, unknown>>,
  context: InputContext,
) => Promise<Input & { readonly url: string }>;

export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text read as JSON. */
  readonly body: unknown;
}

/** The options that a host would hand over: the defaults of the schema, on any free port. */
export function defaultOptions(schema: OptionsSchema): Record<string, unknown> {
  const defaults = Object.entries(schema.properties).flatMap(([name, option]) =>
    option.default === undefined ? [] : [[name, option.default] as const],
  );
  return { ...Object.fromEntries(defaults), port: 0 };
}

/** For tests: an input that listens, driven as a host drives it. */
export class TestDoor {
  readonly url: string;
  readonly log: TestLog;
  readonly metrics: TestMetrics;
  readonly input: Input;
  readonly iterator: AsyncIterator<InputBatch>;
  readonly #abort: AbortController;

  private constructor(
    input: Input & { readonly url: string },
    log: TestLog,
    metrics: TestMetrics,
    abort: AbortController,
  ) {
    this.url = input.url;
    this.input = input;
    this.log = log;
    this.metrics = metrics;
    this.#abort = abort;
    this.iterator = input.batches(abort.signal)[Symbol.asyncIterator]();
  }

  /** Opens the input and closes it when the test is over. */
  static async start(
    t: { teardown(handler: () => Promise<void>): void },
    open: OpenDoor,
    options: Readonly<Record<string, unknown>>,
    context: Partial<InputContext> = {},
  ): Promise<TestDoor> {
    const log = createTestLog();
    const metrics = createTestMetrics();
    const input = await open(options, createTestContext({ log, metrics, ...context }));
    const door = new TestDoor(input, log, metrics, new AbortController());
    t.teardown(() => door.close());
    return door;
  }

  /** Takes the next batch. */
  async next(): Promise<InputBatch> {
    const result = await soon(this.iterator.next(), 'a batch');
    if (result.done === true) throw new Error('The input has ended.');
    return result.value;
  }

  /** Takes the next batch and accepts it; resolves with its text. */
  async accept(): Promise<string> {
    const batch = await this.next();
    await batch.ack();
    return Buffer.from(batch.bytes).toString();
  }

  abort(): void {
    this.#abort.abort();
  }

  async close(): Promise<void> {
    this.abort();
    await this.input.close();
  }

  /** A `POST`, unless `init` says otherwise. */
  async send(
    path: string,
    body?: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
    init: RequestInit = {},
  ): Promise<TestAnswer> {
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      ...(body === undefined ? {} : { body }),
      headers,
      ...init,
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type') === 'application/json' && text !== '';
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
  }
}

/** For the conformance suite: sends all lines in each run, some in each request, one request after the other. */
export function createDoorSource(
  open: OpenDoor,
  options: Readonly<Record<string, unknown>>,
  path: string,
  lines: readonly Uint8Array[],
  toBody: (lines: readonly Uint8Array[]) => Uint8Array,
): InputSource {
  const requestBytesMax = 4096;
  let input: (Input & { readonly url: string }) | undefined;
  const send = async (): Promise<void> => {
    for (let start = 0; start < lines.length; ) {
      let end = start;
      let byteCount = 0;
      while (end < lines.length && (end === start || byteCount < requestBytesMax)) {
        byteCount += lines[end]?.length ?? 0;
        end += 1;
      }
      await post(`${input?.url}${path}`, toBody(lines.slice(start, end)));
      start = end;
    }
  };
  return {
    open: async (context) => {
      input = await open(options, context);
      return input;
    },
    // The input may close before all was sent; that is for the suite to judge.
    feed: () => void send().catch(() => undefined),
    close: async () => input?.close(),
  };
}

function post(url: string, body: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = startRequest(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Content-Length': body.length },
    });
    request.once('response', (response) => response.resume().once('end', resolve));
    request.once('error', reject);
    request.end(body);
  });
}
