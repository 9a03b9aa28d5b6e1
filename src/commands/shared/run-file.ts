import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { InputDescriptor, OutputDescriptor } from '@chukcha/plugin-api';
import { Ajv, type ErrorObject } from 'ajv';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { closest } from '../../common/closest.js';
import { type NodeOptions, resolveNodeOptions } from '../../node/node-options.js';
import {
  resolveShipSettings,
  resolveSinkSettings,
  type ShipSettings,
  type SinkSettings,
} from '../../pipeline/pipeline-settings.js';
import { parsePluginAddress, resolvePluginOptions } from '../../plugin-host/plugin-options.js';
import type { PluginRegistry } from '../../plugin-host/plugin-registry.js';
import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';
import { type CredentialValues, splitCredentials } from './credential-flags.js';
import type { ChosenPlugin } from './plugins.js';
import { runFileSchema } from './run-file-schema.js';
import { resolveReferences } from './value-references.js';

/** A node of a file. */
export interface NodeEntry {
  readonly kind: 'node';
  readonly name: string;
  readonly options: NodeOptions;
  /** What the file says, to see whether it has changed. */
  readonly given: unknown;
}

/** A ship of a file. */
export interface ShipEntry {
  readonly kind: 'ship';
  readonly name: string;
  readonly settings: ShipSettings;
  readonly credentials: CredentialValues;
  readonly input: ChosenPlugin<InputDescriptor>;
  readonly given: unknown;
}

/** A sink of a file. */
export interface SinkEntry {
  readonly kind: 'sink';
  readonly name: string;
  readonly settings: SinkSettings;
  readonly credentials: CredentialValues;
  readonly output: ChosenPlugin<OutputDescriptor>;
  readonly given: unknown;
}

export type RunEntry = NodeEntry | ShipEntry | SinkEntry;

export interface RunFile {
  /** Absolute. */
  readonly path: string;
  /** The directory that the file asks for; `undefined` for the one that its path gives. */
  readonly state: string | undefined;
  /** How the file asks to log. */
  readonly log: Readonly<Record<string, unknown>>;
  readonly entries: readonly RunEntry[];
}

type Path = readonly (string | number)[];
type Values = Record<string, unknown>;

/**
 * Reads and checks a file of pipelines. Throws `invalid_option` with a sentence for each problem, which begins with the
 * file, the line and the column.
 */
export async function readRunFile(path: string, registry: PluginRegistry): Promise<RunFile> {
  const file = resolve(path);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ChukchaError(
      'invalid_option',
      `The file ${path} cannot be read (${errorMessage(cause)}): name a YAML file of pipelines.`,
      { cause },
    );
  });
  return new RunFileReader(path, file, text, registry).read();
}

class RunFileReader {
  readonly #shownPath: string;
  readonly #path: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #registry: PluginRegistry;
  readonly #problems: string[] = [];

  constructor(shownPath: string, path: string, text: string, registry: PluginRegistry) {
    this.#shownPath = shownPath;
    this.#path = path;
    this.#registry = registry;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
  }

  read(): RunFile {
    for (const { message, pos } of this.#document.errors) {
      this.#problems.push(`${this.#place(pos[0])}: ${message}.`);
    }
    this.#throwProblems();
    const values = this.#valuesOf();
    this.#checkForm(values);
    this.#throwProblems();
    const entries = this.#entriesOf(values);
    if (entries.length === 0 && this.#problems.length === 0) {
      this.#problems.push(
        `${this.#shownPath}: there are no nodes, ships or sinks in it: give at least one.`,
      );
    }
    this.#throwProblems();
    return {
      path: this.#path,
      state: values['state'] as string | undefined,
      log: { 'log-level': values['log-level'], 'log-format': values['log-format'] },
      entries,
    };
  }

  /** The values with what they refer to. */
  #valuesOf(): Values {
    const sources = { environment: process.env, directory: dirname(this.#path) };
    const resolveValue = (value: unknown, path: Path): unknown => {
      if (typeof value === 'string') {
        try {
          return resolveReferences(value, sources);
        } catch (error) {
          this.#report(path, errorMessage(error));
          return value;
        }
      }
      if (Array.isArray(value)) return value.map((item, at) => resolveValue(item, [...path, at]));
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([name, item]) => [name, resolveValue(item, [...path, name])]),
      );
    };
    return resolveValue(this.#document.toJS() ?? {}, []) as Values;
  }

  #checkForm(values: Values): void {
    const ajv = new Ajv({ allErrors: true, strict: false, verbose: true });
    const validate = ajv.compile(runFileSchema);
    if (validate(values)) return;
    for (const error of validate.errors ?? []) this.#reportForm(error);
  }

  #reportForm(error: ErrorObject): void {
    const path = error.instancePath
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    if (error.keyword === 'additionalProperties') {
      const name = String(error.params['additionalProperty']);
      const { properties = {} } = (error.parentSchema ?? {}) as { properties?: object };
      const meant = closest(name, Object.keys(properties));
      const known = Object.keys(properties).join(', ');
      const hint = meant === undefined ? `expected one of ${known}` : `did you mean ${meant}?`;
      this.#report([...path, name], `There is no key ${JSON.stringify(name)} here: ${hint}`);
    } else if (error.keyword === 'required') {
      this.#report(path, `The key ${error.params['missingProperty']} is missing.`);
    } else if (error.keyword === 'enum') {
      const allowed = (error.params['allowedValues'] as unknown[]).join(', ');
      this.#report(path, `${JSON.stringify(error.data)} is not one of ${allowed}.`);
    } else if (error.keyword === 'propertyNames' || error.propertyName === undefined) {
      this.#report(path, `${nameOf(path)} ${error.message}, but is ${shown(error.data)}.`);
    } else {
      this.#report(
        [...path, error.propertyName],
        `The name ${JSON.stringify(error.propertyName)} is not valid: expected 1 to 64 of the characters A-Z, a-z, 0-9, _ and -.`,
      );
    }
  }

  #entriesOf(values: Values): RunEntry[] {
    const { nodes, ships, sinks, state, ...rest } = values;
    const { 'log-level': _level, 'log-format': _format, ...common } = rest;
    const found: (RunEntry | undefined)[] = [
      ...this.#map(values, 'nodes', (name, given) => ({
        kind: 'node',
        name,
        given,
        options: resolveNodeOptions({ name, ...given }),
      })),
      ...this.#map(values, 'ships', (name, given) => {
        const { options, ...rest } = given;
        const { credentials, given: own } = splitCredentials({ ...common, ...rest });
        const settings = resolveShipSettings(own);
        const address = parsePluginAddress(settings.from);
        const plugin = this.#registry.input(address.name);
        const pluginOptions = resolvePluginOptions(plugin.descriptor, address, asValues(options));
        return {
          kind: 'ship',
          name,
          settings,
          credentials,
          input: { plugin, options: pluginOptions },
          given: { ...common, ...given },
        };
      }),
      ...this.#map(values, 'sinks', (name, given) => {
        const { options, ...rest } = given;
        const { credentials, given: own } = splitCredentials({ ...common, ...rest });
        const settings = resolveSinkSettings(own);
        const address = parsePluginAddress(settings.to);
        const plugin = this.#registry.output(address.name);
        const pluginOptions = resolvePluginOptions(plugin.descriptor, address, asValues(options));
        return {
          kind: 'sink',
          name,
          settings,
          credentials,
          output: { plugin, options: pluginOptions },
          given: { ...common, ...given },
        };
      }),
    ];
    return found.filter((entry) => entry !== undefined);
  }

  #map(
    values: Values,
    section: string,
    make: (name: string, given: Values) => RunEntry,
  ): (RunEntry | undefined)[] {
    return Object.entries((values[section] ?? {}) as Record<string, Values>).map(
      ([name, given]) => {
        try {
          return make(name, given);
        } catch (error) {
          if (!(error instanceof ChukchaError)) throw error;
          this.#report([section, name], error.message);
          return undefined;
        }
      },
    );
  }

  /** Where the value stands, or the key when there is no value. */
  #report(path: Path, sentence: string): void {
    let node: unknown;
    for (let length = path.length; length >= 0 && node === undefined; length -= 1) {
      node =
        this.#keyAt(path.slice(0, length)) ?? this.#document.getIn(path.slice(0, length), true);
    }
    const range = (node as { readonly range?: readonly [number, number, number] } | undefined)
      ?.range;
    const problem = `${this.#place(range?.[0])}: ${sentence}`;
    if (!this.#problems.includes(problem)) this.#problems.push(problem);
  }

  /** The key of a value in a map: it stands where people look for it. */
  #keyAt(path: Path): unknown {
    const parent = this.#document.getIn(path.slice(0, -1), true) as
      | { readonly items?: readonly { readonly key?: { readonly value?: unknown } }[] }
      | undefined;
    const name = path.at(-1);
    return parent?.items?.find(({ key }) => name !== undefined && key?.value === name)?.key;
  }

  #place(offset: number | undefined): string {
    if (offset === undefined) return this.#shownPath;
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#shownPath}:${line}:${col}`;
  }

  #throwProblems(): void {
    if (this.#problems.length === 0) return;
    throw new ChukchaError('invalid_option', this.#problems.join('\n'));
  }
}

function asValues(options: unknown): Values {
  return (options ?? {}) as Values;
}

function nameOf(path: Path): string {
  return path.length === 0 ? 'The file' : path.join('.');
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? 'nothing';
}
