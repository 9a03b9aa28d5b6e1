import type { InputModule } from './input.js';
import type { OptionsSchema } from './options-schema.js';
import type { OutputModule } from './output.js';

/** The version of this contract. A host refuses a plugin of another version by name. */
export const apiVersion = 1;

interface DescriptorBase {
  readonly apiVersion: typeof apiVersion;
  /** What users write in front of the colon in `--from` and `--to`: `[a-z][a-z0-9-]*`. */
  readonly name: string;
  /** One line for `chukcha plugins`. */
  readonly summary: string;
  readonly options: OptionsSchema;
  /**
   * Turns what stands behind the colon in `<name>:<rest>` into options. A plugin without it takes no
   * rest. MUST be cheap and MUST throw an `Error` with a full sentence for a rest that it cannot use.
   */
  parseAddress?(rest: string): Readonly<Record<string, unknown>>;
}

/**
 * What a plugin package says about an input before anything of it is loaded. A package is found by oclif:
 * its `package.json` names a module for the hook `chukcha:plugins`, whose default export returns a list of
 * descriptors. That module MUST import nothing heavy; `load` does.
 */
export interface InputDescriptor extends DescriptorBase {
  readonly kind: 'input';
  load(): Promise<InputModule>;
}

/** As {@link InputDescriptor}, for an output. */
export interface OutputDescriptor extends DescriptorBase {
  readonly kind: 'output';
  load(): Promise<OutputModule>;
}

export type PluginDescriptor = InputDescriptor | OutputDescriptor;
