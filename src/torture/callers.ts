import { Client } from '../client/client.js';
import type { Credentials } from '../client/credentials.js';
import type { NodeProcess } from '../processes/node-process.js';

/** A node as who calls it knows it. */
export type CalledNode = Pick<NodeProcess, 'name' | 'url'>;

/** Who calls nodes. Each may do no more than its work needs, where nodes ask who it is. */
export const roles = ['writer', 'reader', 'observer'] as const;
export type Role = (typeof roles)[number];

/**
 * How long a node may be silent before a writer or a reader goes on at the next one: longer than a write waits for
 * its peers, so that its answer is heard.
 */
export const answerMsMax = 4_000;

interface Line {
  readonly url: string;
  readonly credentials: Credentials;
  readonly client: Client;
  /** Of the credentials before: its last calls are under way. */
  readonly previous: Client | undefined;
}

/** The clients of all roles, which change with the address of a node and with what the role has to show. */
export class Callers {
  readonly #credentialsOf: (role: Role) => Credentials;
  readonly #lines = new Map<string, Line>();

  /** @param credentialsOf must give the same object until there are others */
  constructor(credentialsOf: (role: Role) => Credentials) {
    this.#credentialsOf = credentialsOf;
  }

  /** `undefined` while the node takes no calls, as far as anybody knows who has not asked it. */
  client(node: CalledNode, role: Role): Client | undefined {
    const key = `${role} ${node.name}`;
    const { url } = node;
    const line = this.#lines.get(key);
    const credentials = this.#credentialsOf(role);
    if (line !== undefined && line.url === url && line.credentials === credentials) {
      return line.client;
    }
    line?.previous?.close();
    const isMoved = line?.url !== url;
    if (isMoved) line?.client.close();
    if (url === undefined) {
      this.#lines.delete(key);
      return undefined;
    }
    const client = new Client({ server: url, timeoutMs: answerMsMax, ...credentials });
    this.#lines.set(key, {
      url,
      credentials,
      client,
      previous: isMoved ? undefined : line?.client,
    });
    return client;
  }

  close(): void {
    for (const { client, previous } of this.#lines.values()) {
      client.close();
      previous?.close();
    }
    this.#lines.clear();
  }
}
