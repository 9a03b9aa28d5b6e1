import type { PluginCounter, PluginGauge, PluginMetrics } from '@chukcha/plugin-api';

/** What only this input knows. */
export interface FileFigures {
  readonly linesCut: PluginCounter;
  readonly linesSkipped: PluginCounter;
  readonly cutBytes: PluginCounter;
  readonly truncations: PluginCounter;
  readonly lostBytes: PluginCounter;
  readonly files: PluginGauge;
  readonly openFiles: PluginGauge;
  readonly waitingFiles: PluginGauge;
  readonly unreadBytes: PluginGauge;
  readonly failingPaths: PluginGauge;
}

export function createFileFigures(metrics: PluginMetrics): FileFigures {
  return {
    linesCut: metrics.counter(
      'lines_cut_total',
      'Lines that were longer than a message may be, and were cut.',
    ),
    linesSkipped: metrics.counter(
      'lines_skipped_total',
      'Lines that were longer than a message may be, and were left out.',
    ),
    cutBytes: metrics.counter(
      'cut_bytes_total',
      'Bytes of lines that were cut or left out which were not sent.',
    ),
    truncations: metrics.counter(
      'truncations_total',
      'How often the contents of a file were replaced in place.',
    ),
    lostBytes: metrics.counter(
      'unread_bytes_lost_total',
      'Bytes that were seen in a file and gone, without a copy, before they were read.',
    ),
    files: metrics.gauge('files', 'Files that are followed.'),
    openFiles: metrics.gauge('open_files', 'Files that are open.'),
    waitingFiles: metrics.gauge(
      'waiting_files',
      'Files that have something which is not read yet.',
    ),
    unreadBytes: metrics.gauge(
      'unread_bytes',
      'Bytes of files that are not read yet; of packed ones only before they are read.',
    ),
    failingPaths: metrics.gauge('failing_paths', 'Paths that cannot be looked at or read now.'),
  };
}
