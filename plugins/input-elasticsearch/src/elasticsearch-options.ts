import type { PluginLog } from '@chukcha/plugin-api';

/** Which part of the name of an index names the category. */
export type CategoryFrom = 'none' | 'index' | 'index_without_date';

/** What the answers depend on. */
export interface ElasticsearchOptions {
  readonly categoryFrom: CategoryFrom;
  readonly keepAction: boolean;
  readonly version: string;
  readonly log: PluginLog;
}
