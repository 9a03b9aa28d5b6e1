/**
 * What the host does about an error:
 *
 * - `transient`: the same call may succeed by itself (a time-out, a busy target). The host tries again.
 * - `operator`: somebody has to mend something (a wrong password, a missing file or table). The host
 *   keeps its position and says so.
 * - `data`: these messages will never be taken. The host stops with its position in front of them.
 * - `closed`: the target does not want more (a closed pipe). The host ends quietly, without moving its
 *   position past what was not written.
 */
export type PluginErrorKind = 'transient' | 'operator' | 'data' | 'closed';

/** A failure that a plugin foresees. The message says what failed, the value, what was expected and what to do next. */
export class PluginError extends Error {
  readonly kind: PluginErrorKind;

  constructor(kind: PluginErrorKind, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PluginError';
    this.kind = kind;
  }
}

/** The kind of whatever a plugin threw, whichever copy of the class made it; unforeseen errors are transient. */
export function pluginErrorKind(error: unknown): PluginErrorKind {
  const kind = (error as { kind?: unknown } | undefined)?.kind;
  return kind === 'operator' || kind === 'data' || kind === 'closed' ? kind : 'transient';
}
