// @ts-check
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const command = join(
  dirname(createRequire(import.meta.url).resolve('chukcha/package.json')),
  'bin/run.js',
);

/** @typedef {{ minute: string, page: string, views: number, clicks: number }} Figure */

/** @type {Promise<Figure[]> | undefined} */
let underWay;

/**
 * Views and clicks by minute and page, the newest first. The sink brings in what has come since the last time, and the
 * engine is asked then: one process at a time has its directory, so requests that come together share one answer.
 *
 * @param {{ client: import('chukcha').Client, category: string, directory: string }} where
 */
export function figuresOf(where) {
  underWay ??= bringInAndAsk(where).finally(() => {
    underWay = undefined;
  });
  return underWay;
}

/** @param {{ client: import('chukcha').Client, category: string, directory: string }} where */
async function bringInAndAsk({ client, category, directory }) {
  // The first events make the table.
  if (!(await client.listCategories()).includes(category)) return [];
  const to = `clickhouse:${directory}`;
  await chukcha('sink', '--to', to, '--category', category, '--server', client.server, '--once');
  // FINAL: an event that came twice is one row although its parts are not merged yet.
  const statement = `SELECT toStartOfMinute(time) AS minute, page,
      toUInt32(countIf(kind = 'view')) AS views, toUInt32(countIf(kind = 'click')) AS clicks
    FROM ${category} FINAL GROUP BY minute, page ORDER BY minute DESC, page LIMIT 200`;
  const lines = await chukcha('query', directory, statement, '--format', 'json');
  return /** @type {Figure[]} */ (
    lines
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  );
}

/** @param {string[]} words */
async function chukcha(...words) {
  return (await run(process.execPath, [command, ...words])).stdout;
}
