import { formatBytes } from '../../../common/quantity.js';
import type {
  BenchReport,
  Growth,
  LoadFigures,
  PhaseFigures,
  SampledProcess,
  SoakFigures,
  SoakPeriod,
} from '../../../load/bench-report.js';
import { formatRate } from '../../../load/load-rate.js';
import { formatTable, type TableColumn } from '../format-table.js';

const GB = 1e9;

/** Stands for what is not known. */
const unknown = '-';

/** The report of `chukcha bench` for people. */
export function formatBench(report: BenchReport): string[] {
  const { versions, machine, target, options, check, soak } = report;
  return [
    `chukcha ${versions.chukcha}, node ${versions.node}; ${machine}; ${report.startedAt}`,
    target.isOwn
      ? `a node of its own on ${target.disk}`
      : `${target.servers.join(', ')}${target.version === null ? '' : ` (chukcha ${target.version})`}, category ${target.category}`,
    `lines of ${options.lineBytes} bytes, batches of ${formatBytes(options.batchBytes)}, ${options.writers} writers, ${options.seconds} s`,
    '',
    ...(soak === null ? formatFilled(phaseColumns, report.phases) : formatSoak(soak)),
    '',
    ...errorLines(soak === null ? report.phases : [{ name: 'soak', ...soak.total }]),
    `Checked ${check.checkedBatches} batches, byte for byte: ${check.lost} lost, ${check.duplicate} read twice, ${check.corrupt} corrupt.`,
    ...check.sentences.map((sentence) => `  ${sentence}`),
    ...report.left,
    ...report.problems,
    ...(report.interrupted ? ['It was ended early.'] : []),
    report.passed ? 'PASSED' : 'FAILED',
  ];
}

/** What is known of no row is left out. */
function formatFilled<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[]): string[] {
  const filled = columns.filter(({ value }) => rows.some((row) => value(row) !== unknown));
  return formatTable(filled, rows);
}

function right<Row>(title: string, value: (row: Row) => string): TableColumn<Row> {
  return { title, value, align: 'right' };
}

const phaseColumns: readonly TableColumn<PhaseFigures>[] = [
  { title: 'PHASE', value: ({ name }) => name },
  right('BATCH', ({ batchBytes }) => formatBytes(batchBytes)),
  right('S', ({ seconds }) => seconds.toFixed(1)),
  right('MIB/S', ({ mibPerSecond }) => mibPerSecond.toFixed(1)),
  right('MESSAGES/S', ({ messagesPerSecond }) => String(messagesPerSecond)),
  right('P50 MS', ({ latencyMs }) => milliseconds(latencyMs?.p50)),
  right('P99 MS', ({ latencyMs }) => milliseconds(latencyMs?.p99)),
  right('MAX MS', ({ latencyMs }) => milliseconds(latencyMs?.max)),
  right('END TO END P50', ({ endToEndMs }) => milliseconds(endToEndMs?.p50)),
  right('P99', ({ endToEndMs }) => milliseconds(endToEndMs?.p99)),
  right('NODE CPU S/GB', ({ node, bytes }) =>
    node === null || bytes === 0 ? unknown : cpuPerGb(node.cpuSeconds, bytes),
  ),
  right('NODE PEAK MIB', ({ node }) => (node === null ? unknown : mib(node.peakResidentBytes))),
  right('FILES', ({ node }) => (node === null ? unknown : String(node.descriptorCount))),
  right('LOADER BUSY', ({ loaderCpuSeconds, seconds }) =>
    (loaderCpuSeconds / Math.max(seconds, 0.001)).toFixed(2),
  ),
  right('OTHERS BUSY', ({ othersBusy }) => othersBusy?.toFixed(2) ?? unknown),
];

const soakColumns: readonly TableColumn<SoakPeriod>[] = [
  right('UNTIL S', ({ endSeconds }) => String(endSeconds)),
  right('MIB/S', ({ mibPerSecond }) => mibPerSecond.toFixed(1)),
  right('WRITE P50 MS', ({ writeMs }) => milliseconds(writeMs?.p50)),
  right('P99', ({ writeMs }) => milliseconds(writeMs?.p99)),
  right('MAX', ({ writeMs }) => milliseconds(writeMs?.max)),
  right('END TO END P50', ({ endToEndMs }) => milliseconds(endToEndMs?.p50)),
  right('P99', ({ endToEndMs }) => milliseconds(endToEndMs?.p99)),
  right('MAX', ({ endToEndMs }) => milliseconds(endToEndMs?.max)),
  right('BACKLOG MIB', ({ backlogBytes }) => mib(backlogBytes)),
  right('NODE MIB', ({ node }) => resident(node)),
  right('FILES', ({ node }) => descriptors(node)),
  right('BUSY', ({ node }) => busy(node)),
  right('LOADER MIB', ({ loader }) => resident(loader)),
  right('FILES', ({ loader }) => descriptors(loader)),
  right('BUSY', ({ loader }) => busy(loader)),
  right('OTHERS', ({ othersBusy }) => othersBusy?.toFixed(2) ?? unknown),
  right('DISK FREE', ({ freeDiskBytes }) =>
    freeDiskBytes === null ? unknown : formatBytes(freeDiskBytes),
  ),
];

function formatSoak(soak: SoakFigures): string[] {
  const { maximalBytesPerSecond, bytesPerSecond, total, growth } = soak;
  const maximum =
    maximalBytesPerSecond === null
      ? ''
      : ` of ${formatRate(maximalBytesPerSecond)}, the most that was written and read at once`;
  return [
    `${formatRate(bytesPerSecond)} were to be held${maximum}; ${formatRate(total.bytes / total.seconds)} were, for ${total.seconds.toFixed(0)} s.`,
    ...(total.node === null || total.bytes === 0
      ? []
      : [
          `The node took ${cpuPerGb(total.node.cpuSeconds, total.bytes)} s of processor time for each GB, and ${formatBytes(total.node.peakResidentBytes)} of memory at the most.`,
        ]),
    '',
    ...formatFilled(soakColumns, soak.summary),
    '',
    ...formatGrowth(growth),
  ];
}

function formatGrowth(growth: readonly Growth[]): string[] {
  if (growth.length === 0)
    return ['It was too short to tell whether anything grows: that takes a quarter of an hour.'];
  const grown = growth.filter(({ hasGrown }) => hasGrown).map(({ what }) => what);
  return [
    'From the first third to the last one (medians):',
    ...growth.map(
      ({ what, unit, first, last }) => `  ${what}: ${amount(first, unit)} -> ${amount(last, unit)}`,
    ),
    grown.length === 0
      ? 'Nothing has grown: all of it is flat.'
      : `These have grown: ${grown.join(', ')}.`,
  ];
}

function amount(value: number, unit: Growth['unit']): string {
  if (unit === 'bytes') return formatBytes(Math.round(value));
  return unit === 'ms' ? `${milliseconds(value)} ms` : String(value);
}

function errorLines(loads: readonly (LoadFigures & { readonly name: string })[]): string[] {
  return loads.flatMap(({ name, errors }) =>
    Object.entries(errors).map(([code, count]) => `${name}: ${count} tries failed with ${code}.`),
  );
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? unknown : value.toFixed(2);
}

function cpuPerGb(cpuSeconds: number, bytes: number): string {
  return ((cpuSeconds * GB) / bytes).toFixed(2);
}

function mib(byteCount: number): string {
  return (byteCount / 1024 ** 2).toFixed(0);
}

function resident(sample: SampledProcess | null): string {
  return sample === null ? unknown : mib(sample.residentBytes);
}

function descriptors(sample: SampledProcess | null): string {
  return sample === null ? unknown : String(sample.descriptorCount);
}

function busy(sample: SampledProcess | null): string {
  return sample === null ? unknown : sample.busy.toFixed(2);
}
