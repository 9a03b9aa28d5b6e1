import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process that may have opened a connection. */
export interface PossibleOpener {
  readonly name: string;
  /** `undefined` while none runs. */
  readonly processId: number | undefined;
}

const connectionsPath = '/proc/self/net/tcp';

/** 127.0.0.1 as the kernel writes it there, on machines whose numbers begin with their last byte. */
const loopbackHex = '0100007F';

/** Whether this machine tells who has opened a connection. */
export function tellsOpeners(): boolean {
  return existsSync(connectionsPath);
}

/**
 * Finds which of the processes has opened the connection from a port of 127.0.0.1; `undefined` when it is none of them, or
 * is gone. What passes over a connection with TLS tells nobody.
 */
export async function findOpener(
  port: number,
  openers: readonly PossibleOpener[],
): Promise<string | undefined> {
  const socket = await findSocket(port);
  if (socket === undefined) return undefined;
  for (const { name, processId } of openers) {
    if (processId !== undefined && (await hasOpen(processId, socket))) return name;
  }
  return undefined;
}

/** As links of descriptors name it. */
async function findSocket(port: number): Promise<string | undefined> {
  const address = `${loopbackHex}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const table = await readFile(connectionsPath, 'latin1');
  for (const line of table.split('\n')) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    const [, local, , , , , , , , inode] = line.trim().split(/ +/, 10);
    // What is closed waits there without a socket.
    if (local === address && inode !== '0') return `socket:[${inode}]`;
  }
  return undefined;
}

async function hasOpen(processId: number, socket: string): Promise<boolean> {
  const directory = `/proc/${processId}/fd`;
  // The process may have ended, and descriptors close while they are looked at.
  const descriptors = await readdir(directory).catch(() => []);
  const targets = await Promise.all(
    descriptors.map((descriptor) => readlink(`${directory}/${descriptor}`).catch(() => '')),
  );
  return targets.includes(socket);
}
