import {
  apiVersion,
  type InputDescriptor,
  type OutputDescriptor,
  type PluginDescriptor,
} from '@chukcha/plugin-api';
import { closest } from '../common/closest.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';

/** The part of oclif's `Config` that finds plugins. */
export interface HookRunner {
  runHook(
    event: string,
    options: Record<string, unknown>,
    timeoutMs?: number,
  ): Promise<{
    readonly successes: readonly {
      readonly result: unknown;
      readonly plugin: { readonly name: string };
    }[];
    readonly failures: readonly {
      readonly error: Error;
      readonly plugin: { readonly name: string };
    }[];
  }>;
}

/** The hook that plugin packages answer with their descriptors. */
export const pluginsHook = 'chukcha:plugins';

/** A package that needs longer than this to say what it has is left out. */
const hookMsMax = 5_000;

export const pluginNamePattern = /^[a-z][a-z0-9-]*$/;

/** A plugin and the package that brought it. */
export interface FoundPlugin<Descriptor extends PluginDescriptor = PluginDescriptor> {
  readonly descriptor: Descriptor;
  readonly packageName: string;
}

/** The plugins of this installation. Finding them loads none of their heavy parts. */
export class PluginRegistry {
  /** All that can be used, by kind and then by name. */
  readonly plugins: readonly FoundPlugin[];
  /** A sentence for each plugin that is there but cannot be used; the others work all the same. */
  readonly problems: readonly string[];

  private constructor(plugins: readonly FoundPlugin[], problems: readonly string[]) {
    this.plugins = plugins;
    this.problems = problems;
  }

  static async find(runner: HookRunner): Promise<PluginRegistry> {
    const { successes, failures } = await runner.runHook(pluginsHook, {}, hookMsMax);
    const problems = failures.map(
      ({ plugin, error }) =>
        `Plugin package ${plugin.name} could not be loaded (${error.message}): repair or uninstall it.`,
    );
    const plugins: FoundPlugin[] = [];
    const candidates = successes.flatMap(({ result, plugin }) =>
      (Array.isArray(result) ? result : [result]).map((descriptor: unknown) => ({
        descriptor,
        packageName: plugin.name,
      })),
    );
    // oclif runs the hooks in parallel, so the order says nothing; the name decides between two of a kind.
    for (const { descriptor, packageName } of candidates.sort((left, right) =>
      left.packageName < right.packageName ? -1 : 1,
    )) {
      const problem = findProblem(descriptor, packageName, plugins);
      if (problem === undefined)
        plugins.push({ descriptor: descriptor as PluginDescriptor, packageName });
      else problems.push(problem);
    }
    plugins.sort((left, right) => (sortKey(left.descriptor) < sortKey(right.descriptor) ? -1 : 1));
    return new PluginRegistry(plugins, problems);
  }

  /** Throws `plugin_not_found` with the nearest name. */
  input(name: string): FoundPlugin<InputDescriptor> {
    return this.#get('input', name) as FoundPlugin<InputDescriptor>;
  }

  /** As {@link PluginRegistry.input}. */
  output(name: string): FoundPlugin<OutputDescriptor> {
    return this.#get('output', name) as FoundPlugin<OutputDescriptor>;
  }

  #get(kind: PluginDescriptor['kind'], name: string): FoundPlugin {
    const ofKind = this.plugins.filter(({ descriptor }) => descriptor.kind === kind);
    const found = ofKind.find(({ descriptor }) => descriptor.name === name);
    if (found !== undefined) return found;
    const names = ofKind.map(({ descriptor }) => descriptor.name);
    const meant = closest(name, names);
    const hint =
      meant === undefined ? `expected one of ${names.join(', ')}.` : `did you mean ${meant}?`;
    throw new ChukchaError(
      'plugin_not_found',
      `There is no ${kind} plugin ${JSON.stringify(name)}: ${hint} \`chukcha plugins\` lists what is installed.`,
    );
  }
}

function sortKey(descriptor: PluginDescriptor): string {
  return `${descriptor.kind}:${descriptor.name}`;
}

function findProblem(
  value: unknown,
  packageName: string,
  known: readonly FoundPlugin[],
): string | undefined {
  const descriptor = (value ?? {}) as Partial<PluginDescriptor>;
  if (descriptor.apiVersion !== apiVersion) {
    return `Plugin package ${packageName} is made for version ${JSON.stringify(descriptor.apiVersion)} of the plugin contract, and this chukcha needs ${apiVersion}: install a matching version.`;
  }
  const { kind, name } = descriptor;
  if (
    (kind !== 'input' && kind !== 'output') ||
    !pluginNamePattern.test(name ?? '') ||
    typeof descriptor.load !== 'function'
  ) {
    return `Plugin package ${packageName} describes a plugin without a kind, a name or load(): report it to its author.`;
  }
  const other = known.find(
    (found) => found.descriptor.kind === kind && found.descriptor.name === name,
  );
  if (other === undefined) return undefined;
  return `Plugin package ${packageName} brings ${kind} ${name}, which ${other.packageName} has already: uninstall one of them.`;
}

/** The text of an error that a plugin threw while it was opened. */
export function openError(
  kind: PluginDescriptor['kind'],
  name: string,
  cause: unknown,
): ChukchaError {
  if (cause instanceof ChukchaError) return cause;
  const code = kind === 'input' ? 'input_failed' : 'output_failed';
  return new ChukchaError(code, `The ${kind} ${name} could not be opened: ${errorMessage(cause)}`, {
    cause,
  });
}
