export { categoryOfIndex, isCategoryName } from './category-name.js';
export type { DoorAnswer, DoorProtocol } from './door-protocol.js';
export type { DoorRequest } from './door-request.js';
export { type DoorTimes, HttpDoor } from './http-door.js';
export { compactJson, type JsonExtent, JsonReader } from './json-reader.js';
export { type LineBatch, LineBatches } from './line-batches.js';
export { type LineProblem, quote, RequestError, type RequestErrorCode } from './request-error.js';
export type { Verdict } from './request-queue.js';
export { writeItems } from './write-items.js';
