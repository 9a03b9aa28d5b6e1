import { once } from 'node:events';
import { createServer } from 'node:net';
import type { SeededRandom } from '../common/seeded-random.js';

/** Below the ports that Linux gives to outgoing connections, which could take one between two starts of a program. */
const portMin = 20_000;
const portMax = 32_000;

/** A port of this machine that nobody listens on now. */
export async function findFreePort(random: SeededRandom): Promise<number> {
  for (;;) {
    const port = random.integer(portMin, portMax);
    const server = createServer();
    server.listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    return port;
  }
}
