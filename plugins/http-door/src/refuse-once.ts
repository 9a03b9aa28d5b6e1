import { type InputContext, PluginError } from '@chukcha/plugin-api';

/** Throws a `PluginError` of kind `operator` when the input is asked to end by itself, which a server cannot. */
export function refuseOnce(name: string, context: InputContext): void {
  if (!context.once) return;
  throw new PluginError(
    'operator',
    `The input ${name} cannot be used with --once: it has no end at which to stop; start it without --once.`,
  );
}
