import type { PluginDescriptor } from '@chukcha/plugin-api';
import { plugin } from './index.js';

/** Answers oclif's hook `chukcha:plugins` with what this package offers. */
export default async function listPlugins(): Promise<PluginDescriptor[]> {
  return [plugin];
}
