export { countNewlines } from './count-newlines.js';
export {
  apiVersion,
  type InputDescriptor,
  type OutputDescriptor,
  type PluginDescriptor,
} from './descriptor.js';
export { findLongMessage } from './find-long-message.js';
export type {
  BatchOrigin,
  Input,
  InputBatch,
  InputContext,
  InputModule,
  SourceReport,
} from './input.js';
export type { InputPositions, SourcePosition } from './input-positions.js';
export type { OptionSchema, OptionsSchema, PluginOptions } from './options-schema.js';
export type {
  BatchingAdvice,
  CheckStep,
  MessageFailure,
  Output,
  OutputBatch,
  OutputContext,
  OutputModule,
  WriteOutcome,
} from './output.js';
export { PluginError, type PluginErrorKind, pluginErrorKind } from './plugin-error.js';
export type { PluginLog } from './plugin-log.js';
export type { PluginCounter, PluginGauge, PluginMetrics } from './plugin-metrics.js';
export type { JsonValue, PluginState } from './plugin-state.js';
