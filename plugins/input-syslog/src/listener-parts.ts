import type { PluginLog } from '@chukcha/plugin-api';
import type { Framing } from './frame-splitter.js';
import type { LineGatherer } from './line-gatherer.js';
import type { LineMaker } from './line-maker.js';
import type { SyslogFigures } from './syslog-figures.js';

/** What the listeners for TCP and UDP share. */
export interface ListenerParts {
  readonly gatherer: LineGatherer;
  readonly figures: SyslogFigures;
  readonly lines: LineMaker;
  readonly framing: Framing;
  /** The longest message, in bytes without its framing. */
  readonly frameBytesMax: number;
  readonly log: PluginLog;
}
