import type { ChildServer } from './child-server.js';
import type { Side } from './compare.js';
import type { HttpLoad } from './http-load.js';
import { makeRequest, repeatRequest } from './requests.js';
import { startFloor, startNode, startRawResponder } from './servers.js';

/** About what the answer to a write has. */
const receiptBytes = 72;

/** How many connections write, and how many requests each has under way. */
export type WriteLoad = Omit<HttpLoad, 'takeRequests'>;

/** A node that gets the same body over and over, in its default durability unless `query` says otherwise. */
export function nodeSide(name: string, body: Buffer, load: WriteLoad, query = ''): Side {
  const request = makeRequest('POST', `/write?category=bench${query}`, body);
  return { name, start: (path) => startNode(path), load: withRequest(load, request) };
}

/** As `nodeSide`, at a node that others replicate, and that several sides use in turn. */
export function memberSide(
  name: string,
  node: ChildServer,
  body: Buffer,
  load: WriteLoad,
  query = '',
): Side {
  return { ...nodeSide(name, body, load, query), start: async () => node.share() };
}

/** The plain server that a node is measured against. */
export function floorSide(body: Buffer, load: WriteLoad): Side {
  const request = makeRequest('POST', '/', body);
  return { name: 'floor', start: startFloor, load: withRequest(load, request) };
}

/** What the load itself can reach. */
export function loadSide(body: Buffer, load: WriteLoad): Side {
  const request = makeRequest('POST', '/', body);
  return {
    name: 'raw responder',
    start: () => startRawResponder(request.length, receiptBytes),
    load: withRequest(load, request),
  };
}

function withRequest(load: WriteLoad, request: Buffer): HttpLoad {
  return { ...load, takeRequests: repeatRequest(request, load.pipelinedCount) };
}
