// Removes everything that a build or a test run made.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageDirectories, rootDirectory } from './build-outputs.js';

for (const directory of packageDirectories()) {
  rmSync(join(directory, 'build'), { recursive: true, force: true });
}
rmSync(join(rootDirectory, '.tap'), { recursive: true, force: true });
