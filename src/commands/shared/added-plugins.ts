import type { AddedPackage } from '../../plugin-host/user-plugins.js';

/** What a package that was just added can be used for, as lines for people. */
export function describeAdded({ name, root, plugins }: AddedPackage): string[] {
  return [
    `${name} is used from ${root}:`,
    ...plugins.map(({ descriptor }) => {
      const flag = descriptor.kind === 'input' ? '--from' : '--to';
      return `  ${flag} ${descriptor.name}  ${descriptor.summary}`;
    }),
  ];
}
