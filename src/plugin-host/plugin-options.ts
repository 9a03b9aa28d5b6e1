import type { PluginDescriptor, PluginOptions } from '@chukcha/plugin-api';
import { resolveOptions } from '../common/schema-options.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { environmentOptions } from './plugin-environment.js';

/** `<plugin>` or `<plugin>:<rest>`, as `--from` and `--to` take it. */
export interface PluginAddress {
  readonly name: string;
  readonly rest: string | undefined;
}

export function parsePluginAddress(text: string): PluginAddress {
  const colon = text.indexOf(':');
  if (colon === -1) return { name: text, rest: undefined };
  return { name: text.slice(0, colon), rest: text.slice(colon + 1) };
}

/**
 * The options of a plugin from the environment, from its address, and from further ones, each of which wins over those
 * before it, checked against the plugin's schema. Throws `invalid_option`.
 */
export function resolvePluginOptions(
  descriptor: PluginDescriptor,
  address: PluginAddress,
  further: Readonly<Record<string, unknown>>,
): PluginOptions {
  const resolved = resolveOptions(descriptor.options, {
    ...environmentOptions(descriptor),
    ...addressOptions(descriptor, address),
    ...further,
  });
  if (resolved.ok) return resolved.options;
  throw new ChukchaError(
    'invalid_option',
    `The ${descriptor.kind} ${descriptor.name} cannot be used with these options. ${resolved.problems.join(' ')}`,
  );
}

function addressOptions(
  descriptor: PluginDescriptor,
  { name, rest }: PluginAddress,
): PluginOptions {
  if (rest === undefined) return {};
  if (descriptor.parseAddress === undefined) {
    throw new ChukchaError(
      'invalid_option',
      `The ${descriptor.kind} ${name} takes nothing behind its name, but ${JSON.stringify(rest)} was given: write ${name} alone.`,
    );
  }
  try {
    return descriptor.parseAddress(rest);
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `Address ${name}:${withoutUser(rest)} is not valid: ${errorMessage(cause)}`,
      { cause },
    );
  }
}

/** Options that were given as `key=value`. Throws `invalid_option`. */
export function parseSettings(settings: readonly string[]): Record<string, string> {
  return Object.fromEntries(settings.map(parseSetting));
}

/** A password stands before the last @, and belongs into no sentence. */
function withoutUser(rest: string): string {
  return rest.replace(/\/\/.*@/s, '//...@');
}

function parseSetting(text: string): [name: string, value: string] {
  const equals = text.indexOf('=');
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new ChukchaError(
    'invalid_option',
    `Setting ${JSON.stringify(text)} is not valid: expected --set NAME=VALUE.`,
  );
}
