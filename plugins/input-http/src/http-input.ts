import { HttpDoor } from '@chukcha/http-door';
import type { InputContext, PluginOptions } from '@chukcha/plugin-api';
import { linesProtocol } from './lines-protocol.js';

/** Listens. The options are those of the plugin's schema. */
export function open(options: PluginOptions, context: InputContext): Promise<HttpDoor> {
  return HttpDoor.open(linesProtocol, options, context);
}
