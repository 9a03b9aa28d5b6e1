// @ts-check
// Keeps a full-text index in step with a database, whatever the order in which changes are told.
//
//     node examples/library/search-index.js [SERVER] [DATABASE FILE] [INDEX FILE]
//
// An event says only which document has changed. The indexer takes the document as it is now from the database, so an old
// event that comes late, or twice, does no harm. Whoever changes a document commits it first and tells of it then.
import { Client, Consumer } from 'chukcha';
import { JsonStore } from './json-store.js';

const [
  server = 'http://127.0.0.1:8080',
  databasePath = 'documents.json',
  indexPath = 'index.json',
] = process.argv.slice(2);

/** @type {JsonStore<{ documents: Record<string, string[]> }>} by document, its words */
const index = await JsonStore.open(indexPath, { documents: {} });
const client = new Client({ server });
const consumer = new Consumer(client, { category: 'changes', group: 'search', untilEnd: true });

for await (const batch of consumer) {
  // Of several changes of a document in a batch, one look is enough.
  const changed = new Set(batch.bytes.toString().split('\n').slice(0, -1));
  /** @type {JsonStore<Record<string, string>>} */
  const database = await JsonStore.open(databasePath, {});
  for (const id of changed) {
    const text = database.content[id];
    if (text === undefined) delete index.content.documents[id];
    else index.content.documents[id] = [...new Set(text.toLowerCase().match(/\p{L}+/gu) ?? [])];
  }
  await index.commit();
  batch.ack();
}
client.close();
console.log(JSON.stringify(index.content.documents));
