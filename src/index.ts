export { Client } from './client/client.js';
export type {
  CallOptions,
  ChunkListing,
  ClientOptions,
  ListOptions,
  NodeInfo,
  ReadAnswer,
  ReadOptions,
  WriteOptions,
} from './client/client-calls.js';
export {
  type ConsumeEvent,
  ConsumeStream,
  type ConsumeStreamOptions,
} from './client/consume-stream.js';
export { Consumer } from './client/consumer.js';
export type { ConsumerBatch, ConsumerOptions } from './client/consumer-options.js';
export type { RetryListener } from './client/decide-retry.js';
export type { ServerList } from './client/node-ring.js';
export {
  ProduceStream,
  type ProduceStreamOptions,
  type StreamBatchOptions,
} from './client/produce-stream.js';
export { Producer, type ProducerOptions } from './client/producer.js';
export { ChukchaError, type ErrorFields } from './protocol/chukcha-error.js';
export { type ErrorCode, type ErrorMeaning, errorCodes } from './protocol/error-codes.js';
export type {
  CategoryStatus,
  ChunkState,
  ClusterStatus,
  CoordinationStatus,
  DiskStatus,
  GroupBacklog,
  GroupRegistration,
  GroupRemoval,
  GroupStart,
  HeldChunks,
  LeaseAnswer,
  ListedChunk,
  MemberStatus,
  NodeChange,
  NodeState,
  NodeStatus,
  ProducerStamp,
  SealReceipt,
  WriteReceipt,
} from './protocol/http-api.js';
export type {
  FailureClass,
  PipelineKind,
  PipelineReport,
  PipelineState,
  PipelineStatus,
} from './protocol/pipeline-report.js';
export type { OwnerPosition, OwnerPositions, Position } from './protocol/position.js';
