// Holds the lock of a directory until it is killed; started by `fork` with the directory.
import { DirectoryLock } from '../../src/storage/directory-lock.js';

const [, , directory = ''] = process.argv;
await DirectoryLock.take(directory, 'node lock-process');
process.on('message', () => undefined);
process.on('disconnect', () => process.exit());
process.send?.('taken');
