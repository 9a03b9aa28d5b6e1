import { Counter, Gauge, Registry } from 'prom-client';
import { failureClasses, type PipelineReport } from '../../../protocol/pipeline-report.js';
import { reasonAgainst, type TaskReport } from './task-report.js';

/** The text form of Prometheus. */
export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

type Labels = Readonly<Record<string, string>>;

/** The metrics of one answer: a family is made when it is used first. */
class TaskFamilies {
  readonly #registry = new Registry();
  readonly #gauges = new Map<string, Gauge>();
  readonly #counters = new Map<string, Counter>();

  gauge(name: string, help: string, labels: Labels, value: number): void {
    const gauge =
      this.#gauges.get(name) ??
      new Gauge({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] });
    this.#gauges.set(name, gauge);
    gauge.set(labels, value);
  }

  counter(name: string, help: string, labels: Labels, value: number): void {
    const counter =
      this.#counters.get(name) ??
      new Counter({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] });
    this.#counters.set(name, counter);
    counter.inc(labels, value);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** How tasks stand, in the text form of Prometheus; `docs/metrics.md` has the names. */
export function formatTaskMetrics(tasks: readonly TaskReport[]): Promise<string> {
  const families = new TaskFamilies();
  for (const task of tasks) {
    addTask(families, task);
    const { pipeline, category = '', name } = task;
    if (pipeline === undefined) continue;
    if (task.kind === 'ship') addShip(families, { name, category }, task, pipeline);
    else addSink(families, { name, category, group: pipeline.group ?? '' }, pipeline);
  }
  for (const task of tasks) addFigures(families, task);
  return families.text();
}

function addTask(families: TaskFamilies, task: TaskReport): void {
  const { kind, name, state, restarts, pipeline } = task;
  const labels = { kind, name };
  const isUp = !['starting', 'waiting', 'stopped'].includes(state);
  families.gauge('chukcha_task_up', '1 while the task runs, else 0', labels, isUp ? 1 : 0);
  const readyHelp = '1 while the task does its work, as /readyz tells it, else 0';
  const isReady = reasonAgainst(task) === undefined;
  families.gauge('chukcha_task_ready', readyHelp, labels, isReady ? 1 : 0);
  const restartsHelp = 'How often the task was started again';
  families.counter('chukcha_task_restarts_total', restartsHelp, labels, restarts);
  if (pipeline === undefined) return;
  const isFailing = ['retrying', 'stalled', 'waiting'].includes(state);
  const failingHelp = '1 for the class of what fails now, else 0; operator needs a person';
  for (const each of failureClasses) {
    const value = isFailing && pipeline.lastErrorClass === each ? 1 : 0;
    families.gauge('chukcha_task_failing', failingHelp, { ...labels, class: each }, value);
  }
  const { secondsSinceSuccess } = pipeline;
  if (secondsSinceSuccess === null) return;
  const ageHelp = 'Seconds since the bus or the target has taken something';
  families.gauge('chukcha_task_success_age_seconds', ageHelp, labels, secondsSinceSuccess);
}

function addShip(
  families: TaskFamilies,
  labels: Labels,
  task: TaskReport,
  pipeline: PipelineReport,
): void {
  const counters = [
    ['read_bytes_total', 'Bytes that the input gave', task.readBytes],
    ['accepted_bytes_total', 'Bytes that the bus has accepted, as the input gave them', task.bytes],
    ['accepted_messages_total', 'Messages that the bus has accepted', pipeline.messages],
    ['retries_total', 'Writes that were tried again', pipeline.retries],
    ['duplicate_writes_total', 'Writes that the bus had already', pipeline.duplicates],
  ] as const;
  for (const [name, help, value] of counters) {
    families.counter(`chukcha_ship_${name}`, help, labels, value);
  }
  const waitingHelp = 'Bytes that were read and are not accepted yet';
  families.gauge('chukcha_ship_waiting_bytes', waitingHelp, labels, task.readBytes - task.bytes);
}

function addSink(families: TaskFamilies, labels: Labels, pipeline: PipelineReport): void {
  const counters = [
    ['delivered_bytes_total', 'Bytes that the target has taken', pipeline.bytes],
    ['delivered_messages_total', 'Messages that the target has taken', pipeline.messages],
    ['dead_letters_total', 'Messages that the target will never take', pipeline.deadLetters],
    ['retries_total', 'Calls of bus or target that were tried again', pipeline.retries],
    ['duplicates_total', 'What the target had already, as far as it says so', pipeline.duplicates],
  ] as const;
  for (const [name, help, value] of counters) {
    families.counter(`chukcha_sink_${name}`, help, labels, value);
  }
  const { state, backlogBytes, secondsLeft } = pipeline;
  const standbyHelp = '1 while another reader does the work of the group, else 0';
  families.gauge('chukcha_sink_standing_by', standbyHelp, labels, state === 'standing by' ? 1 : 0);
  if (backlogBytes !== null) {
    const help = 'Bytes that are still to be delivered';
    families.gauge('chukcha_sink_backlog_bytes', help, labels, backlogBytes);
  }
  if (secondsLeft !== null) {
    const help = 'Seconds until that is done, at the pace of the last minute';
    families.gauge('chukcha_sink_done_in_seconds', help, labels, secondsLeft);
  }
}

/** What the plugins count. Their names begin with the kind and the name of the plugin, as no other name does. */
function addFigures(families: TaskFamilies, { kind, name, figures }: TaskReport): void {
  for (const figure of figures) {
    const metric = `chukcha_${figure.name}`;
    const help = figure.help.replace(/\.$/, '');
    families[figure.kind](metric, help, { kind, name }, figure.value);
  }
}
