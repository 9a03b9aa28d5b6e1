import type { PluginDescriptor } from '@chukcha/plugin-api';
import { plugins } from './index.js';

/** Answers oclif's hook `chukcha:plugins` with what this package offers. */
export default async function listPlugins(): Promise<PluginDescriptor[]> {
  return [...plugins];
}
