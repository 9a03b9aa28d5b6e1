import { makeDirectory } from '../../common/make-directory.js';
import { type AddedPackage, UserPlugins } from '../../plugin-host/user-plugins.js';
import { DirectoryLock } from '../../storage/directory-lock.js';

/**
 * Changes the plugins that the user added, as the only process that does: two that read the list and write it back would
 * lose what one of them has added. Throws `directory_in_use`.
 */
export async function changeUserPlugins<T>(
  dataDirectory: string,
  change: (added: UserPlugins) => Promise<T>,
): Promise<T> {
  await makeDirectory(dataDirectory);
  const lock = await DirectoryLock.take(
    dataDirectory,
    'another command that adds or removes plugins',
  );
  try {
    return await change(new UserPlugins(dataDirectory));
  } finally {
    await lock.release();
  }
}

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
