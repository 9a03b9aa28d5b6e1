import { logOptionsSchema } from '../../common/log-options-schema.js';
import { flagsFromSchema } from './schema-flags.js';

/** How a command logs; for every command that does. */
export const logFlags = flagsFromSchema(logOptionsSchema);
