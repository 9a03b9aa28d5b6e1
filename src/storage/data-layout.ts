import { isCategoryName } from '../protocol/names.js';
import type { ChunkHome } from './chunk.js';
import { type DirectoryEntry, type Disk, hasSystemCode } from './disk.js';

/** Where the parts of one category are. */
export interface CategoryLayout {
  readonly home: ChunkHome;
  /** Everything else about the category. */
  readonly stateDirectory: string;
  /** Damaged chunks that were moved aside. */
  readonly quarantineDirectory: string;
}

/** Where the parts of a data directory are; `docs/storage-format.md` describes them. */
export interface DataLayout {
  readonly dataDirectory: string;
  /** Everything but messages; its name is not one that a category can have. */
  readonly stateDirectory: string;
  category(name: string): CategoryLayout;
}

export function dataLayout(dataDirectory: string): DataLayout {
  const stateDirectory = `${dataDirectory}/.chukcha`;
  return {
    dataDirectory,
    stateDirectory,
    category: (name) => ({
      home: {
        directory: `${dataDirectory}/${name}`,
        indexDirectory: `${stateDirectory}/${name}/chunks`,
      },
      stateDirectory: `${stateDirectory}/${name}`,
      quarantineDirectory: `${dataDirectory}/.quarantine/${name}`,
    }),
  };
}

/**
 * The names of all categories of a data directory, sorted. One of which all chunks are gone, or that only has
 * groups, is known by its state alone.
 */
export async function listCategories(
  disk: Disk,
  { dataDirectory, stateDirectory }: DataLayout,
): Promise<string[]> {
  const names = new Set<string>();
  for (const directory of [dataDirectory, stateDirectory]) {
    for (const { name, kind } of await listOrNone(disk, directory)) {
      if (kind === 'directory' && isCategoryName(name)) names.add(name);
    }
  }
  return [...names].sort();
}

/** The entries of a directory; none when it does not exist. */
export async function listOrNone(
  disk: Disk,
  directory: string,
): Promise<readonly DirectoryEntry[]> {
  try {
    return await disk.listDirectory(directory);
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return [];
    throw error;
  }
}
