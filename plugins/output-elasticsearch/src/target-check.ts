import type { CheckStep } from '@chukcha/plugin-api';
import type { SampleDocument } from './sample-documents.js';
import type { ServerInfo } from './server-info.js';
import type { ServerRing } from './server-ring.js';
import type { TargetOptions } from './target-options.js';

/** What the steps of a check share. */
export interface TargetCheck {
  readonly options: TargetOptions;
  readonly ring: ServerRing;
  readonly signal: AbortSignal;
  readonly address: string;
  readonly flavour: ServerInfo['flavour'];
  readonly documents: readonly SampleDocument[];
  /** The index that the first document would go to, or a name for any. */
  readonly index: string;
}

/** The answer to a GET; `undefined` when it was no success. */
export async function readJson<Answer>(
  { ring, signal }: TargetCheck,
  path: string,
): Promise<Answer | undefined> {
  const answer = await ring.send({ method: 'GET', path }, signal);
  if (answer.status !== 200) return undefined;
  return JSON.parse(answer.body.toString()) as Answer;
}

export function ok(name: string, detail: string): CheckStep {
  return { name, result: 'ok', detail };
}
