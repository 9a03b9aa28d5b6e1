import { HttpDoor } from '@chukcha/http-door';
import type { InputContext, PluginOptions } from '@chukcha/plugin-api';
import type { CategoryFrom } from './elasticsearch-options.js';
import { createElasticsearchProtocol } from './elasticsearch-protocol.js';

/** Listens. The options are those of the plugin's schema. */
export function open(options: PluginOptions, context: InputContext): Promise<HttpDoor> {
  const protocol = createElasticsearchProtocol({
    categoryFrom: options['category_from'] as CategoryFrom,
    keepAction: options['keep_action'] as boolean,
    version: options['version'] as string,
    log: context.log,
  });
  return HttpDoor.open(protocol, options, context);
}
