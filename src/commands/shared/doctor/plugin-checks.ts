import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PluginRegistry } from '../../../plugin-host/plugin-registry.js';
import type { UserPackage } from '../../../plugin-host/user-plugins.js';
import type { Finding } from './finding.js';

/** The plugins that cannot be used, and the linked packages whose directory is gone. */
export function checkPlugins(registry: PluginRegistry, added: readonly UserPackage[]): Finding[] {
  const about = 'plugins';
  const gone = added.filter(
    ({ type, root }) => type === 'link' && !existsSync(join(root ?? '', 'package.json')),
  );
  const findings: Finding[] = [
    ...registry.problems.map((detail): Finding => {
      const name = added.find((each) => detail.includes(` ${each.name} `))?.name;
      const fix =
        name === undefined
          ? 'install chukcha again'
          : `mend it, or \`chukcha plugins uninstall ${name}\``;
      return { about, result: 'failed', detail, fix };
    }),
    ...gone.map(({ name, root }): Finding => {
      const detail = `Plugin package ${name} was linked from ${root}, where no package is any more.`;
      return { about, result: 'failed', detail, fix: `chukcha plugins uninstall ${name}` };
    }),
  ];
  if (findings.length > 0) return findings;
  const count = registry.plugins.length;
  return [{ about, result: 'ok', detail: `${count} inputs and outputs can be used.` }];
}
