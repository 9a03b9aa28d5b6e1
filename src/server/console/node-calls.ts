import { CallError, sentenceOf } from './call-error.js';
import type { ChunkReport, NodeReport } from './node-report.js';
import type { Session } from './session.js';

/** After so long a call is given up. It is shown long before that the node is late. */
const callMsMax = 10_000;

/** The most of an error's body that is read into a sentence. */
const errorTextLengthMax = 400;

/** A group that nobody registers: lists show it every chunk that is there. */
const groupOfNobody = 'chukcha-console';

/** Messages of a chunk. */
export interface ReadAnswer {
  readonly bytes: Uint8Array;
  readonly nextOffset: number;
  readonly chunkSize: number;
}

/** The calls that the page makes, all of them to the node that it came from. They throw `CallError`. */
export class NodeCalls {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async status(): Promise<NodeReport> {
    return (await (await this.#get('status')).json()) as NodeReport;
  }

  async listChunks(category: string): Promise<readonly ChunkReport[]> {
    const query = new URLSearchParams({ category, group: groupOfNobody });
    return (await (await this.#get(`listChunks?${query}`)).json()) as ChunkReport[];
  }

  /** Reads whole messages from `offset` on, or what follows it of the message that it lies in. */
  async read(
    category: string,
    chunk: string,
    offset: number,
    byteCountMax: number,
  ): Promise<ReadAnswer> {
    const query = new URLSearchParams({ category, chunk });
    query.set('off', String(offset));
    query.set('max_size', String(byteCountMax));
    const answer = await this.#get(`read?${query}`);
    return {
      bytes: new Uint8Array(await answer.arrayBuffer()),
      nextOffset: Number(answer.headers.get('chukcha-next-offset')),
      chunkSize: Number(answer.headers.get('chukcha-chunk-size')),
    };
  }

  /** Resolves when the head of the answer is here: what is written from then on comes in the body. */
  async tail(category: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const query = new URLSearchParams({ category, from: 'latest', group: groupOfNobody });
    const { body } = await this.#get(`stream?${query}`, signal);
    if (body === null) throw new CallError(0, 'The browser gives no stream of the answer.');
    return body;
  }

  async #get(target: string, signal = AbortSignal.timeout(callMsMax)): Promise<Response> {
    const { token } = this.#session;
    const answer = await fetch(target, {
      cache: 'no-store',
      redirect: 'error',
      signal,
      headers: token === '' ? {} : { Authorization: `Bearer ${token}` },
    }).catch((cause: unknown) => {
      if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
      throw new CallError(0, noAnswerSentence(cause), { cause });
    });
    if (answer.ok) return answer;
    throw new CallError(answer.status, await refusalSentence(answer));
  }
}

function noAnswerSentence(cause: unknown): string {
  return cause instanceof DOMException && cause.name === 'TimeoutError'
    ? `The node at ${location.host} has not answered a call for ${callMsMax / 1_000} s.`
    : `The node at ${location.host} cannot be reached (${sentenceOf(cause)}).`;
}

/** The node's own sentence, or the status when something between here and there has answered. */
async function refusalSentence(answer: Response): Promise<string> {
  const text = (await answer.text().catch(() => '')).slice(0, errorTextLengthMax);
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    if (typeof error?.message === 'string') return error.message;
  } catch {
    // Not the JSON of a node; the status says enough.
  }
  return `The answer was ${answer.status} ${answer.statusText}.`.replace(' .', '.');
}
