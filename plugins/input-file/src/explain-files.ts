import type { SourceReport } from '@chukcha/plugin-api';
import type { FileInputParts } from './file-input-parts.js';
import type { Member } from './member-map.js';
import type { FoundPaths } from './path-finder.js';

/** What there is to say of each file, and of what is not read. */
export function explainFiles(parts: FileInputParts, found: FoundPaths): SourceReport[] {
  const { files } = parts;
  const reports = [...files.members.values()].map((member) => explainMember(member, parts));
  for (const [source, error] of files.problems) {
    if (!files.byPath.has(source)) reports.push(explainProblem(source, error));
  }
  for (const source of found.excluded) {
    const detail = 'It matches the option exclude; change that to have it read.';
    reports.push({ source, state: 'excluded', detail });
  }
  for (const { text, globs } of parts.sources) {
    if ([...found.paths].some((path) => globs.some((glob) => glob.matches(path)))) continue;
    const detail = 'No file matches it yet; one that comes is read from its beginning.';
    reports.push({ source: text, state: 'waiting', detail });
  }
  return reports;
}

function explainMember(member: Member, parts: FileInputParts): SourceReport {
  const { file, original, predecessor, unseenSinceMs } = member;
  const { generation, failure, opened, status, path: source } = file;
  if (failure !== undefined) return explainProblem(source, failure);
  if (generation === undefined) {
    const detail =
      status.size === 0
        ? 'It is empty; what is written to it will be read.'
        : `It has what ${original?.file.path ?? 'another file'} has, and is read when that changes or is gone.`;
    return { source, state: status.size === 0 ? 'empty' : 'copy', detail };
  }
  const acceptedBytes = generation.ledger.lowWater.offset;
  const isPacked = source.endsWith('.gz') && opened?.plain === undefined;
  const sourceBytes = isPacked ? {} : { sourceBytes: status.size };
  const report = (state: string, detail: string): SourceReport => ({
    ...{ source, state, detail, acceptedBytes },
    ...sourceBytes,
  });
  if (!isPacked && status.size === 0) {
    return report('empty', 'It is empty; what is written to it will be read.');
  }
  if (predecessor !== undefined && file.hasMore) {
    return report(
      'waiting',
      `It is read after ${predecessor.file.path}, which had its path before.`,
    );
  }
  if (file.hasMore) return report('reading', 'There is more to read.');
  if (generation.ledger.unsettledCount > 0 && parts.pool.isEmpty) {
    return report('waiting', 'What was read is not accepted by the server yet.');
  }
  if (!isPacked && generation.readOffset < status.size) {
    const missing = status.size - generation.readOffset;
    return report(
      'partial',
      `The last ${missing} bytes are not whole yet: the end of a line or message is missing.`,
    );
  }
  if (unseenSinceMs !== undefined) {
    return report(
      'gone',
      'No path leads to it any more; it is read on for a while, in case it grows.',
    );
  }
  return report('at_end', 'Everything in it was read; what is written to it will be.');
}

function explainProblem(source: string, error: NodeJS.ErrnoException): SourceReport {
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return {
        source,
        state: 'no_permission',
        detail: 'This user may not read it: change its permissions.',
      };
    case 'ERR_GZIP_INCOMPLETE':
      return {
        source,
        state: 'waiting',
        detail: 'It is packed and not whole; it is read on when it has grown.',
      };
    case 'ERR_GZIP_DAMAGED':
      return {
        source,
        state: 'damaged',
        detail: `It is packed and damaged (${error.message}): pack it anew, or take it away.`,
      };
    default:
      return {
        source,
        state: 'failed',
        detail: `It could not be read (${error.message}); it is tried again.`,
      };
  }
}
