// The program that holds an embedded engine: one directory, one statement after the other. It is a process of its own
// because the engine takes what stands in the standard input of its process for rows of an insert.
import type { EngineAnswer, EngineCall, EngineStart } from './embedded-engine-messages.js';

const [directory = ''] = process.argv.slice(2);

// A terminal sends these to all processes; the one that uses the engine says when it has to end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
// Whoever used the engine is gone.
process.on('disconnect', () => process.exit());

const session = await open();
if (session !== undefined) {
  process.on('message', (call: EngineCall) => {
    void answer(session, call);
  });
  start({ kind: 'open' });
}

async function open(): Promise<Engine | undefined> {
  let chdb: typeof import('chdb');
  try {
    chdb = await import('chdb');
  } catch (error) {
    start({ kind: 'missing', message: (error as Error).message });
    return undefined;
  }
  // Only whether it is there was asked.
  if (directory === '') {
    start({ kind: 'open' });
    return undefined;
  }
  try {
    return { session: new chdb.Session(directory), drain: chdb.drainPending };
  } catch (error) {
    start({ kind: 'refused', message: (error as Error).message });
    return undefined;
  }
}

interface Engine {
  readonly session: InstanceType<typeof import('chdb')['Session']>;
  readonly drain: () => Promise<void>;
}

async function answer({ session, drain }: Engine, call: EngineCall): Promise<void> {
  if (call.kind === 'close') {
    session.close();
    await drain();
    process.disconnect();
    return;
  }
  try {
    const result = await session.queryAsync(call.statement, { format: call.format });
    send({ id: call.id, bytes: Uint8Array.from(result.bytes()) });
  } catch (error) {
    send({ id: call.id, error: error instanceof Error ? error.message : String(error) });
  }
}

function start(message: EngineStart): void {
  process.send?.(message);
}

function send(message: EngineAnswer): void {
  process.send?.(message);
}
