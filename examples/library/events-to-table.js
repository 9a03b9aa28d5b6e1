// @ts-check
// Payments into a table of balances, each exactly once in effect although events may come twice.
//
//     node examples/library/events-to-table.js [SERVER] [FILE]
//
// An event has an id of its own, given by whoever sends it. The ids of processed events are kept beside the balances, and
// both are committed together: an event that comes again is found there and passed over.
import { Client, Consumer } from 'chukcha';
import { JsonStore } from './json-store.js';

const [server = 'http://127.0.0.1:8080', path = 'balances.json'] = process.argv.slice(2);

/** @type {JsonStore<{ processed: Record<string, true>, balances: Record<string, number> }>} */
const store = await JsonStore.open(path, { processed: {}, balances: {} });
const client = new Client({ server });
const consumer = new Consumer(client, { category: 'payments', group: 'balances', untilEnd: true });
let repeated = 0;

for await (const batch of consumer) {
  const { processed, balances } = store.content;
  for (const line of batch.bytes.toString().split('\n').slice(0, -1)) {
    const { id, account, amount } = JSON.parse(line);
    if (processed[id]) {
      repeated += 1;
      continue;
    }
    processed[id] = true;
    balances[account] = (balances[account] ?? 0) + amount;
  }
  await store.commit();
  // Killed here, the batch comes again, and all of its events are known.
  if (process.env.EXAMPLE_DIES === 'before ack') process.exit(70);
  batch.ack();
}
client.close();
console.log(JSON.stringify({ balances: store.content.balances, repeated }));
