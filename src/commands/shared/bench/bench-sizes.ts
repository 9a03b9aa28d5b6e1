import { formatBytes, parseQuantity, quantityForms } from '../../../common/quantity.js';
import { lineBytesMin } from '../../../load/batch-layout.js';
import { ChukchaError } from '../../../protocol/chukcha-error.js';
import { messageBytesMax } from '../../../protocol/limits.js';

/** What `chukcha bench` was asked for, as it was typed. */
export interface BenchSizeFlags {
  readonly batch: string;
  readonly line: string;
  readonly server: string | undefined;
  readonly 'min-sync-replicas': number;
}

/** Reads the sizes, and checks that the flags can be meant together. Throws `invalid_option`. */
export function resolveBenchSizes(flags: BenchSizeFlags): {
  readonly batchBytes: number;
  readonly lineBytes: number;
} {
  const batchBytes = parseSize('batch', flags.batch);
  const lineBytes = parseSize('line', flags.line);
  if (lineBytes < lineBytesMin || lineBytes > messageBytesMax) {
    throw refusal(
      `--line is ${flags.line}: expected ${lineBytesMin} bytes, which number a batch, to ${formatBytes(messageBytesMax)}, the largest message.`,
    );
  }
  if (batchBytes < lineBytes) {
    throw refusal(
      `--batch is ${flags.batch}, and a line of it ${flags.line}: expected room for at least one.`,
    );
  }
  const replicaCount = flags['min-sync-replicas'];
  if (replicaCount > 0 && flags.server === undefined) {
    throw refusal(
      `--min-sync-replicas is ${replicaCount}, and the node that is started here has no peers: expected --server with nodes of a cluster.`,
    );
  }
  return { batchBytes, lineBytes };
}

function parseSize(name: string, text: string): number {
  const byteCount = parseQuantity('bytes', text);
  if (byteCount !== undefined && byteCount > 0) return byteCount;
  throw refusal(`--${name} is ${JSON.stringify(text)}: expected ${quantityForms.bytes}.`);
}

function refusal(sentence: string): ChukchaError {
  return new ChukchaError('invalid_option', sentence);
}
