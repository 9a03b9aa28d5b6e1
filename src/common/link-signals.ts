/** A signal that goes with others; release it when what it was made for has ended, whether it has aborted or not. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Takes it off the others; it does not abort after that. Idempotent. */
  release(): void;
}

/**
 * A signal that aborts with the first of some others, and with its reason. Where one of these lives as long as the process, it
 * has to be this and not `AbortSignal.any`, which leaves a reference in it with every call; only the newest versions of Node
 * take it away (https://github.com/nodejs/node/issues/55351, https://github.com/nodejs/node/issues/64476). When no other is
 * supported any more, this can go.
 */
export function linkSignals(...sources: readonly AbortSignal[]): LinkedSignal {
  const controller = new AbortController();
  const release = (): void => {
    for (const source of sources) source.removeEventListener('abort', abort);
  };
  const abort = (): void => {
    release();
    controller.abort(sources.find(({ aborted }) => aborted)?.reason);
  };
  if (sources.some(({ aborted }) => aborted)) abort();
  else for (const source of sources) source.addEventListener('abort', abort);
  return { signal: controller.signal, release };
}
