import { hostname } from 'node:os';
import { Client } from '../../client/client.js';
import { systemClock } from '../../common/clock.js';
import { PipelineReporter } from '../../pipeline/pipeline-reporter.js';
import {
  type PipelineKind,
  type PipelineReport,
  toPipelineName,
} from '../../protocol/pipeline-report.js';
import { type CredentialValues, readCredentials } from './credential-flags.js';

export interface ReporterOptions {
  readonly kind: PipelineKind;
  /** What tells the pipeline from others on this machine. */
  readonly name: string;
  readonly category: string;
  readonly server: string;
  /** Left out for a node that asks for none. */
  readonly credentials?: CredentialValues;
  readonly report: () => Promise<PipelineReport>;
}

/** How long a node may be silent. */
const silenceMsMax = 2_000;

/** Makes what tells the nodes of a pipeline how it stands. */
export function createReporter(options: ReporterOptions): PipelineReporter {
  const { kind, name, category, server, credentials, report } = options;
  return new PipelineReporter({
    kind,
    name: toPipelineName(`${hostname()}.${name}`),
    category,
    clock: systemClock,
    openClient: async () => {
      const shown = credentials === undefined ? {} : await readCredentials(credentials);
      return new Client({ server, timeoutMs: silenceMsMax, ...shown });
    },
    report,
  });
}
