import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { errorMessage } from '../../src/protocol/chukcha-error.js';
import type { NodeRun } from './node-runs.js';
import { Violation } from './violation.js';

/** No call of the tool has a reason to take longer; a long poll ends within its `wait_ms`. */
const answerMsMax = 30_000;

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One connection to the node, kept alive as long as the process lives. */
export class NodeConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /**
   * One call. `undefined` when the process was killed before the whole answer was here; nobody knows then whether
   * the call had its effect. A connection that breaks while the process lives, a late answer and any status but
   * 200 are violations.
   */
  async call(run: NodeRun, call: Call): Promise<Answer | undefined> {
    if (run.isEnding) return undefined;
    let answer: Answer;
    try {
      answer = await this.#exchange(run.url, call);
    } catch (error) {
      if (run.isEnding) return undefined;
      throw new Violation(`${call.method} ${call.path} failed: ${errorMessage(error)}`);
    }
    if (answer.status === 200) return answer;
    throw new Violation(
      `${call.method} ${call.path} was answered with ${answer.status}: ${answer.body.toString()}`,
    );
  }

  close(): void {
    this.#agent.destroy();
  }

  #exchange(url: URL, { method, path, headers = {}, body }: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = url;
      const signal = AbortSignal.timeout(answerMsMax);
      const options = { agent: this.#agent, hostname, port, method, path, headers, signal };
      const sent = request(options, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(pieces),
          });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}
