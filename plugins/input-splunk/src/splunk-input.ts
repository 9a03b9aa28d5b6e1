import { HttpDoor } from '@chukcha/http-door';
import type { InputContext, PluginOptions } from '@chukcha/plugin-api';
import { createCollectorProtocol } from './collector-protocol.js';

/** Listens. The options are those of the plugin's schema. */
export function open(options: PluginOptions, context: InputContext): Promise<HttpDoor> {
  const protocol = createCollectorProtocol(options['category_from_index'] as boolean);
  return HttpDoor.open(protocol, options, context);
}
