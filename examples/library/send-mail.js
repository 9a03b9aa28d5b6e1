// @ts-check
// Sends e-mail at most a few times each.
//
//     node examples/library/send-mail.js [SERVER] [BOOK FILE] [OUTBOX FILE]
//
// A mail cannot be taken back, and nobody can send it and write that down in one step. So the book says before each attempt
// that there is one, and afterwards that it worked. A mail whose attempts have been used up is given up: it was sent at most
// that often, and in nearly all cases once. The outbox is a file here, which stands for a mail server.
import { appendFile } from 'node:fs/promises';
import { Client, Consumer } from 'chukcha';
import { JsonStore } from './json-store.js';

const attemptsMax = 3;

const [server = 'http://127.0.0.1:8080', bookPath = 'mail-book.json', outboxPath = 'outbox.txt'] =
  process.argv.slice(2);

/** @type {JsonStore<Record<string, { attempts: number, isSent: boolean }>>} by the id of a mail */
const book = await JsonStore.open(bookPath, {});
const client = new Client({ server });
const consumer = new Consumer(client, { category: 'mail', group: 'sender', untilEnd: true });

for await (const batch of consumer) {
  for (const line of batch.bytes.toString().split('\n').slice(0, -1)) await send(JSON.parse(line));
  batch.ack();
}
client.close();
console.log(JSON.stringify(book.content));

/** @param {{ id: string, to: string, text: string }} mail */
async function send({ id, to, text }) {
  book.content[id] ??= { attempts: 0, isSent: false };
  const entry = book.content[id];
  if (entry.isSent || entry.attempts >= attemptsMax) return;
  entry.attempts += 1;
  await book.commit();
  await appendFile(outboxPath, `${to}: ${text}\n`);
  // Killed here, the mail was sent and nobody knows: it is sent once more.
  if (process.env.EXAMPLE_DIES === id) process.exit(70);
  entry.isSent = true;
  await book.commit();
}
