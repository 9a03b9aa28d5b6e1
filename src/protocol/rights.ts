/** What a token may allow; each for the categories that the token names. */
export const rights = ['write', 'read', 'ack', 'observe', 'admin'] as const;

/**
 * - `write`: append messages.
 * - `read`: read messages, list chunks and groups.
 * - `ack`: acknowledge and seal chunks, and register groups.
 * - `observe`: the status, the metrics and the console of a node; needs the pattern `*`.
 * - `admin`: remove groups and change nodes, and everything else that the others allow.
 */
export type Right = (typeof rights)[number];
