export { countNewlines } from './count-newlines.js';
export {
  apiVersion,
  type InputDescriptor,
  type OutputDescriptor,
  type PluginDescriptor,
} from './descriptor.js';
export { findLongMessage } from './find-long-message.js';
export type { Input, InputBatch, InputContext, InputModule } from './input.js';
export type { OptionSchema, OptionsSchema, PluginOptions } from './options-schema.js';
export type {
  MessageFailure,
  Output,
  OutputBatch,
  OutputContext,
  OutputModule,
  WriteOutcome,
} from './output.js';
export { PluginError, type PluginErrorKind, pluginErrorKind } from './plugin-error.js';
export type { PluginLog } from './plugin-log.js';
export type { PluginState } from './plugin-state.js';
