import type { CheckStep, OutputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import type { Logger } from '../../common/logger.js';
import { sampleMessages } from '../../pipeline/category-sample.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { formatStep } from './format-step.js';

export interface OutputCheck {
  readonly plugin: FoundPlugin<OutputDescriptor>;
  readonly options: PluginOptions;
  readonly client: Client;
  readonly category: string;
  readonly log: Logger;
}

/** Looks whether an output could deliver, step by step; yields a step for an output that has no check too. */
export async function* checkOutput(check: OutputCheck): AsyncGenerator<CheckStep> {
  const { plugin, options, client, category, log } = check;
  const { name } = plugin.descriptor;
  const context = {
    log,
    metrics: new MetricsBook(),
    category,
    sample: () => sampleMessages(client, category),
  };
  const module = await plugin.descriptor.load();
  if (module.check !== undefined) {
    yield* module.check(options, context);
    return;
  }
  try {
    const output = await module.open(options, context);
    await output.close();
    yield { name: 'open', result: 'ok', detail: `The output ${name} could be opened.` };
  } catch (error) {
    const { message } = openError('output', name, error);
    yield { name: 'open', result: 'failed', detail: message };
  }
}

/** Prints the steps of a check as they come; false when one has failed. */
export async function printCheck(
  check: OutputCheck,
  print: (line: string) => void,
): Promise<boolean> {
  let isFine = true;
  const show = (step: CheckStep): void => {
    for (const line of formatStep({ ...step, about: step.name })) print(line);
    if (step.result === 'failed') isFine = false;
  };
  try {
    for await (const step of checkOutput(check)) show(step);
  } catch (error) {
    show({ name: 'check', result: 'failed', detail: errorMessage(error) });
  }
  return isFine;
}
