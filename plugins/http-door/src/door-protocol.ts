import type { DoorRequest } from './door-request.js';
import type { RequestError } from './request-error.js';

/** What a client gets. */
export interface DoorAnswer {
  readonly status: number;
  /** Becomes JSON; a text goes as it is. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What one kind of client speaks. The door does everything else: listening, credentials, limits, the bus. */
export interface DoorProtocol {
  /** What the plugin is called. */
  readonly name: string;
  /** Answers a request that may be answered; throws a `RequestError` for a refusal. */
  answer(request: DoorRequest): Promise<DoorAnswer>;
  /** How this kind of client wants to be told of an error. @default `{"error":{"code","message"}}` */
  refuse?(error: RequestError): DoorAnswer;
}
