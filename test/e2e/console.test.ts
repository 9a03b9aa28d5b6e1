import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { Client } from '../../src/client/client.js';
import { type PipelineReport, pipelineReportHoldsMs } from '../../src/protocol/pipeline-report.js';
import {
  openPage,
  reasonWithoutChromium,
  shownMsMax,
  startBrowser,
  type WatchedPage,
} from '../support/browser.js';
import { EtcdProcess, reasonWithoutEtcd } from '../support/etcd-process.js';
import { pipelineReport } from '../support/pipeline-report.js';
import { startRefusingProxy } from '../support/refusing-proxy.js';
import { TestCluster } from '../support/test-cluster.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { until } from '../support/until.js';

const skip = reasonWithoutChromium();
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/** A page is loaded, and its first answers are there. */
const loadedMsMax = 10_000;

const aReport = pipelineReport({ plugin: 'clickhouse' });

const require = createRequire(import.meta.url);

if (skip !== false) t.pass('Without Chromium', { skip });
else await testConsole();

async function testConsole(): Promise<void> {
  const browser = await startBrowser(t);

  const open = async (
    address: string,
    options?: Parameters<typeof openPage>[2],
  ): Promise<WatchedPage> => {
    const watched = await openPage(browser, `${address}/console`, options);
    watched.page.setDefaultTimeout(loadedMsMax);
    return watched;
  };

  await t.test('an empty node says how to begin, and shows the first message', async (t) => {
    const url = await startLoneNode(t);
    const { page, errors, hosts } = await open(url);
    await page.getByText('No categories yet.').waitFor();
    const command = await page.locator('#write-command').textContent();
    t.equal(command, `curl --data-binary $'hello\\n' "${url}/write?category=logs"`);
    t.ok(await page.getByText('No groups yet.').isVisible());
    t.ok(await page.getByText('No pipelines report to this node.').isVisible());
    await post(url, 'logs', 'hello\n');
    await page.getByRole('button', { name: /^logs/ }).waitFor({ timeout: shownMsMax });
    await page.getByRole('rowheader', { name: 'node1-chunk000000000' }).waitFor();
    t.ok(await page.getByText('No categories yet.').isHidden());
    t.same(errors, []);
    t.same([...hosts], [new URL(url).host], 'nothing was asked of another host');
    await page.context().close();
  });

  await t.test('what moves under load shows in figures and charts', async (t) => {
    const url = await startLoneNode(t);
    await fetch(`${url}/groups/archive?category=logs`, { method: 'PUT' });
    const line = `${'x'.repeat(1023)}\n`;
    const writing = repeat(() => post(url, 'logs', line.repeat(64)));
    const reading = repeat(() =>
      fetch(`${url}/stream?category=logs&wait_ms=0`).then((a) => a.text()),
    );
    const { page, errors } = await open(url);
    await untilText(page, '#categories-table td:nth-child(2)', /[1-9].* [KM]iB\/s/);
    await untilText(page, '#categories-table td:nth-child(4)', /[1-9].* [KMG]iB\/s/);
    await untilText(page, '#groups-table td:nth-child(3)', /[1-9].* [KM]iB/);
    await untilText(page, '#groups-table td:nth-child(5)', /grows .*\/s/);
    for (const kind of ['written', 'read', 'backlog']) {
      const path = page.locator(`path.line.${kind}`);
      await until(async () => /^M.*L/.test((await path.getAttribute('d')) ?? ''));
    }
    await writing.stop();
    await reading.stop();
    const { categories } = (await (await fetch(`${url}/status`)).json()) as {
      categories: { groups: { bytes: number }[] }[];
    };
    const bytes = categories[0]?.groups[0]?.bytes ?? 0;
    const mib = bytes / 1024 ** 2;
    t.ok(mib > 0.1, `${bytes}`);
    const shown = mib >= 99.95 ? mib.toFixed(0) : mib >= 9.995 ? mib.toFixed(1) : mib.toFixed(2);
    if (bytes >= 999.5 * 1024) {
      await untilText(page, '#groups-table td:nth-child(3)', new RegExp(`^${shown} MiB$`));
    }
    t.same(errors, []);
    await page.context().close();
  });

  await t.test('a peek shows messages as text, whatever they contain', async (t) => {
    const url = await startLoneNode(t);
    const attack = '<script>document.title="run"</script><img src=x onerror="document.title=1">';
    const long = `${'long '.repeat(200)}end`;
    await post(url, 'logs', `first\n${attack}\n${long}\nlast\n`);
    const { page, errors } = await open(url);
    await page.getByRole('button', { name: 'First messages of node1-chunk000000000' }).click();
    const lines = page.locator('#peek-list li');
    await lines.nth(3).waitFor();
    t.same(await lines.locator('.text').first().textContent(), 'first');
    t.equal(await lines.nth(1).locator('.text').textContent(), attack);
    t.equal(await page.locator('#peek-list :is(script, img)').count(), 0);
    t.equal(await page.title(), 'node1 · chukcha');
    t.notMatch(await lines.nth(2).textContent(), /end/, 'a long line is cut');
    await lines.nth(2).getByRole('button', { name: 'Show all 0.98 KiB' }).click();
    t.match(await lines.nth(2).textContent(), /end/);
    await page.getByRole('button', { name: 'Last messages of node1-chunk000000000' }).click();
    await page.getByText('Last messages of node1-chunk000000000: 4 messages').waitFor();
    t.equal(await lines.nth(3).locator('.text').textContent(), 'last');
    await post(
      url,
      'logs',
      Array.from({ length: 3_000 }, (_, n) => `line ${n} ${'.'.repeat(90)}\n`).join(''),
    );
    await page.getByRole('button', { name: 'Last messages of node1-chunk000000000' }).click();
    await page.getByText(/: 100 messages, from byte/).waitFor();
    t.match(await lines.nth(0).locator('.text').textContent(), /^line 2900 \.+$/);
    t.match(await lines.nth(99).locator('.text').textContent(), /^line 2999 \.+$/);
    await page.getByRole('button', { name: 'First messages of node1-chunk000000000' }).click();
    await page.getByRole('button', { name: 'Next messages' }).click();
    await page.getByText('Next messages of node1-chunk000000000: 100').waitFor();
    t.match(
      await lines.nth(0).locator('.text').textContent(),
      /^line 96 /,
      'right behind the first 100',
    );
    t.same(errors, []);
    await page.context().close();
  });

  await t.test(
    'the last message is shown whole, also when it is as large as one may be',
    async (t) => {
      const url = await startLoneNode(t);
      await post(url, 'logs', `before\n${'a'.repeat(1024 * 1024 - 1)}\n`);
      const { page } = await open(url);
      await page.getByRole('button', { name: 'Last messages of' }).click();
      await page.getByText('Last messages of node1-chunk000000000: 1 message,').waitFor();
      await page.getByRole('button', { name: 'Show the first 64.0 KiB of 1.00 MiB' }).click();
      const text = await page.locator('#peek-list .text').textContent();
      t.equal(text?.length, 64 * 1024);
      await page.context().close();
    },
  );

  await t.test('the live tail shows what was just written, stops, and filters', async (t) => {
    const url = await startLoneNode(t);
    await post(url, 'logs', 'from before\n');
    const { page, errors } = await open(url);
    const lines = page.locator('#tail-list li');
    await page.locator('#tail').getByRole('button', { name: 'Start' }).click();
    await page.getByText(/^Live since/).waitFor();
    await post(url, 'logs', '<script>document.title="run"</script>\n');
    await lines.first().waitFor({ timeout: shownMsMax });
    t.same(await lines.locator('.text').allTextContents(), [
      '<script>document.title="run"</script>',
    ]);
    t.equal(await page.title(), 'node1 · chukcha');

    await page.getByRole('button', { name: 'Pause' }).click();
    await post(url, 'logs', 'while paused\n');
    await page.getByText('paused, 1 wait').waitFor({ timeout: shownMsMax });
    t.equal(await lines.count(), 1);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('while paused').waitFor();

    await page.getByRole('searchbox', { name: 'Show only messages that contain' }).fill('wanted');
    t.equal(await lines.filter({ visible: true }).count(), 0);
    await post(url, 'logs', 'not this\nWANTED\n');
    await page.getByText('WANTED').waitFor({ timeout: shownMsMax });
    t.equal(await lines.filter({ visible: true }).count(), 1);

    await page.getByRole('searchbox', { name: 'Show only messages that contain' }).fill('');
    await post(url, 'logs', Array.from({ length: 20_000 }, (_, n) => `flood ${n}\n`).join(''));
    await page.getByText('flood 19999', { exact: true }).waitFor();
    t.equal(await lines.count(), 500, 'the list is bounded');
    await page.getByText(/20,004 messages came, 19,50\d left the list/).waitFor();
    const list = page.locator('#tail-list');
    const below = await list.evaluate((l) => l.scrollHeight - l.scrollTop - l.clientHeight);
    t.ok(below < 40, 'the newest is in sight');
    await page.locator('#tail').getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Start to see what is written').waitFor();
    t.same(errors, []);
    await page.context().close();
  });

  await t.test('a node that dies, and etcd that is away, show at another node', async (t) => {
    const cluster = new TestCluster(t);
    for (const name of ['a', 'b', 'c']) await cluster.start(name);
    const { url } = cluster.member('a').node;
    const { page, errors, hosts } = await open(url);
    const rowOf = (name: string): ReturnType<Page['locator']> =>
      page
        .locator('#nodes-table tbody tr')
        .filter({ has: page.getByRole('rowheader', { name, exact: true }) });
    await rowOf('c').getByText('active').waitFor();
    await post(url, 'logs', 'x\n');
    await untilText(page, '#nodes-table tbody tr:nth-child(3) td:nth-child(6)', /^0 B$/);
    t.equal(
      await page.getByRole('link', { name: 'b', exact: true }).getAttribute('href'),
      `${cluster.member('b').node.url}/console`,
    );
    await cluster.stop('c');
    await rowOf('c').getByText('away').waitFor({ timeout: shownMsMax });
    await page
      .getByRole('status', { name: 'Notices' })
      .getByText(/^c is away: /)
      .waitFor();
    cluster.cutTable();
    await page.getByText(/^etcd is away/).waitFor({ timeout: shownMsMax });
    cluster.healTable();
    await page.getByText(/^etcd is away/).waitFor({ state: 'hidden', timeout: shownMsMax });
    t.same(errors, []);
    t.same([...hosts], [new URL(url).host], 'other nodes are asked by the node, not by the page');

    await cluster.stop('a');
    await page.getByText(/^The node at .* cannot be reached/).waitFor({ timeout: shownMsMax });
    t.equal(await page.locator('#node-state').textContent(), 'not reached');
    t.ok(await page.getByText('What is shown below is from before.').isVisible());
    await cluster.start('a', { listen: new URL(url).host });
    await page.getByText(/^The node at .* cannot be reached/).waitFor({ state: 'hidden' });
    t.equal(await page.locator('#node-state').textContent(), 'running');
    await page.context().close();
  });

  const withoutEtcd = reasonWithoutEtcd();
  await t.test('an etcd that stands still or dies shows', { skip: withoutEtcd }, async (t) => {
    const etcd = await EtcdProcess.start();
    t.teardown(() => etcd.close());
    const node = await startTestNode(testDirectory(t), { etcd: etcd.url, cluster: 'console' });
    t.teardown(() => node.close());
    const { page, errors } = await open(node.url);
    const notices = page.getByRole('status', { name: 'Notices' });
    const shows = async (
      what: string,
      text: RegExp,
      state: 'visible' | 'hidden',
      limitMs: number,
    ) => {
      const startMs = performance.now();
      await notices.getByText(text).waitFor({ state, timeout: limitMs });
      t.comment(`${what}: ${Math.round(performance.now() - startMs)} ms`);
    };
    await page.getByRole('rowheader', { name: 'node1', exact: true }).waitFor();
    // An answer every half a second is no silence, whenever the page asks.
    await page.waitForTimeout(1_500);
    t.equal(await notices.getByText(/etcd/).count(), 0);
    etcd.freeze();
    await shows('frozen', /^etcd (does not answer|is away)/, 'visible', shownMsMax);
    await shows('called away', /^etcd is away/, 'visible', loadedMsMax);
    etcd.thaw();
    await shows('thawed', /^etcd/, 'hidden', loadedMsMax);
    await etcd.kill();
    await shows('killed', /^etcd is away/, 'visible', shownMsMax);
    await etcd.restart();
    await shows('started again', /^etcd/, 'hidden', loadedMsMax);
    t.same(errors, []);
    await page.context().close();
  });

  await t.test('a disk without room is said in a sentence', async (t) => {
    const node = await startTestNode(testDirectory(t), { 'disk-reserve': '900TiB' });
    t.teardown(() => node.close());
    const { page } = await open(node.url);
    await page.getByText(/^Writes are refused\. The disk of .* are kept in reserve/).waitFor();
    await page.context().close();
  });

  await t.test('a node that asks for a token gets one, which this tab alone keeps', async (t) => {
    const target = await startLoneNode(t);
    const unknown = { error: { code: 'unauthorized', message: 'A token is missing.' } };
    const forbidden = { error: { code: 'forbidden', message: 'The token may not read secrets.' } };
    let refusedCount = 0;
    // The node has no tokens here: this is a fake of one that has.
    const url = await startRefusingProxy(t, target, ({ path, token }) => {
      if (path.startsWith('/console')) return undefined;
      if (token !== 'open sesame' && token !== 'narrow') {
        refusedCount += 1;
        return { status: 401, body: unknown };
      }
      const isNarrow = token === 'narrow' && /^\/(listChunks|status)/.test(path);
      return isNarrow ? { status: 403, body: forbidden } : undefined;
    });
    await post(target, 'logs', 'one\n');
    const { page } = await open(url);
    await page.getByText('This node asks for a token. It says: A token is missing.').waitFor();
    t.equal(await page.locator('#node-state').textContent(), 'signed out');
    t.ok(await page.locator('#content').isHidden());
    t.equal(await page.evaluate('document.activeElement.id'), 'token', 'ready to type');
    const before = refusedCount;
    await page.waitForTimeout(1_500);
    t.equal(refusedCount, before, 'what was refused is not asked again and again');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The node does not know this token.').waitFor();
    await page.getByLabel('Token', { exact: true }).fill('narrow');
    await page.getByRole('button', { name: 'Use token' }).click();
    await page.getByText('This token has not the right').waitFor();
    await page.getByLabel('Token', { exact: true }).fill('open sesame');
    await page.getByRole('button', { name: 'Use token' }).click();
    await page.getByRole('rowheader', { name: 'node1-chunk000000000' }).waitFor();
    t.ok(await page.locator('#sign-in').isHidden());
    await page.locator('#tail').getByRole('button', { name: 'Start' }).click();
    await page.getByText(/^Live since/).waitFor();
    t.notMatch(page.url(), /sesame/);
    t.same(await page.evaluate('[localStorage.length, sessionStorage.length]'), [0, 1]);
    await page.reload();
    await page.getByRole('button', { name: /^logs/ }).waitFor();
    await page.getByRole('button', { name: 'Token set' }).click();
    await page.getByRole('button', { name: 'Forget token' }).click();
    await page.getByText('This node asks for a token.').waitFor();
    t.equal(await page.evaluate('sessionStorage.length'), 0);
    await page.context().close();
  });

  await t.test('pipelines show as they say, and go when they say nothing more', async (t) => {
    const url = await startLoneNode(t);
    const client = new Client({ server: url });
    t.teardown(() => client.close());
    const tell = (name: string, report: Partial<PipelineReport>): Promise<void> =>
      client.reportPipeline({ kind: 'sink', name, category: 'logs' }, { ...aReport, ...report });
    const attack = '<script>document.title="run"</script><img src=x onerror="document.title=1">';
    const { page, errors } = await open(url);
    await page.getByText('No pipelines report to this node.').waitFor();
    await tell('to-clickhouse', { bytesPerSecond: 2048, backlogBytes: 4096, secondsLeft: 2 });
    await tell('audit', { state: 'stalled', lastError: attack, lastErrorClass: 'operator' });
    await tell('spare', { state: 'standing by' });
    const rowOf = (name: string): ReturnType<Page['locator']> =>
      page.locator('#pipelines-table tbody tr').filter({ hasText: name });
    await rowOf('to-clickhouse')
      .getByText('4.00 KiB, done in 2 s')
      .waitFor({ timeout: shownMsMax });
    await rowOf('to-clickhouse').getByText('2.00 KiB/s').waitFor();
    await rowOf('to-clickhouse').getByText('logs to clickhouse, group archive').waitFor();
    const still = page.getByRole('status', { name: 'Notices' });
    await still.getByText(`The sink audit stands still: ${attack}.`).waitFor();
    t.equal(await rowOf('audit').getByText(attack).getAttribute('data-tone'), 'bad');
    t.equal(await rowOf('spare').getByText('standing by').getAttribute('data-tone'), 'quiet');
    t.equal(await page.title(), 'node1 · chukcha', 'an error is text, whatever is in it');
    await tell('audit', { lastError: attack, lastErrorClass: 'operator' });
    await still.getByText('stands still').waitFor({ state: 'hidden', timeout: shownMsMax });
    t.equal(await rowOf('audit').getByText(attack).getAttribute('data-tone'), 'quiet');
    await rowOf('audit').waitFor({ state: 'hidden', timeout: pipelineReportHoldsMs + shownMsMax });
    await page.getByText('No pipelines report to this node.').waitFor();
    t.same(errors, []);
    await page.context().close();
  });

  await t.test(
    'what is wrong in a node is said, and thousands of categories stay usable',
    async (t) => {
      const target = await startLoneNode(t);
      const status = (await (await fetch(`${target}/status`)).json()) as { disk: object };
      const categories = Array.from({ length: 3_000 }, (_, n) => ({
        name: `category-${n}`,
        chunks: 1,
        bytes: 10,
        writtenBytes: 10,
        copiedBytes: 0,
        readBytes: 0,
        expiredBytes: 0,
        hiddenChunks: n === 7 ? ['node1-chunk000000000'] : [],
        groups: [{ group: 'archive', chunks: 1, bytes: 10 }],
      }));
      const disk = { ...status.disk, freeBytes: 11 * 1024 ** 3, reserveBytes: 10 * 1024 ** 3 };
      const body = { ...status, disk, categories, state: 'draining' };
      let release: (() => void) | undefined;
      let isHeld = false;
      // A fake of a node in troubles that would take long to bring about.
      const url = await startRefusingProxy(t, target, async ({ path }) => {
        if (path !== '/status') return undefined;
        if (isHeld) await new Promise<void>((resolve) => (release = resolve));
        return { status: 200, body };
      });
      const { page, errors } = await open(url);
      const notices = page.getByRole('status', { name: 'Notices' });
      await notices.getByText('node1 is draining: it takes no writes.').waitFor();
      await notices.getByText(/^The disk has 11\.0 GiB free; below 10\.0 GiB/).waitFor();
      await notices.getByText(/^1 damaged chunk of category-7 cannot be read/).waitFor();
      await page.getByText('200 of 3,000 are shown, of 3,000 in all.').first().waitFor();
      await page.getByRole('searchbox', { name: 'Filter Categories by name' }).fill('GORY-2999');
      await page.getByRole('button', { name: /^category-2999/ }).click();
      await page.getByRole('heading', { name: 'Chunks of category-2999' }).waitFor();
      t.match(page.url(), /#category=category-2999$/);
      t.equal(await page.locator('#categories-table tbody tr').count(), 1);
      isHeld = true;
      await notices.getByText(/^node1 takes long to answer/).waitFor();
      isHeld = false;
      release?.();
      await notices.getByText(/^node1 takes long to answer/).waitFor({ state: 'hidden' });
      t.same(errors, []);
      await page.context().close();
    },
  );

  await t.test('the page fits a phone, and works by keyboard alone', async (t) => {
    const url = await startLoneNode(t);
    const category = 'a-category-with-a-name-that-is-as-long-as-somebody-likes-it-to-be';
    await fetch(`${url}/groups/${'g'.repeat(64)}?category=${category}`, { method: 'PUT' });
    await post(url, category, `${'w'.repeat(5_000)}\n`);
    const writing = repeat(() => post(url, category, `${'w'.repeat(9_999)}\n`));
    const { page, errors } = await open(url, phone);
    await untilText(page, '#groups-table td:nth-child(5)', /grows .*\/s/);
    await page.getByRole('button', { name: /^First messages of/ }).tap();
    await page.locator('#peek-list li').first().waitFor();
    for (const width of [360, 640, 700, 1_080, 1_180, 1_330, 1_600]) {
      await page.setViewportSize({ width, height: 740 });
      const overflows = await page.evaluate<number[]>(
        '[document.documentElement, ...document.querySelectorAll(".table-box")].map((e) => e.scrollWidth - e.clientWidth)',
      );
      t.same(new Set(overflows), new Set([0]), `nothing to scroll sideways at ${width} pixels`);
    }
    await writing.stop();
    await page.setViewportSize(phone.viewport);
    t.ok(await page.getByRole('columnheader', { name: 'Backlog' }).count(), 'still a table');

    await page.evaluate('document.activeElement.blur()');
    const reached = new Set<string>();
    for (let count = 0; count < 40; count += 1) {
      await page.keyboard.press('Tab');
      reached.add(
        await page.evaluate<string>(
          'document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.tagName',
        ),
      );
    }
    for (const wanted of ['theme', 'sign-in-toggle', 'tail-start', 'tail-filter', 'peek-list']) {
      t.ok(reached.has(wanted), `${wanted} among ${[...reached]}`);
    }
    t.ok([...reached].some((name) => name.startsWith(`${category}: show`)));
    await page.locator('#tail-start').focus();
    await page.keyboard.press('Enter');
    await page.getByText(/^Live since/).waitFor();
    t.same(errors, []);
    await page.context().close();
  });

  await t.test('dark and light follow the system, or a choice that stays', async (t) => {
    const url = await startLoneNode(t);
    const { page } = await open(url, { colorScheme: 'dark' });
    const luminance = async (): Promise<number> => {
      const colour = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      return (colour.match(/\d+/g) ?? []).reduce((sum, part) => sum + Number(part), 0);
    };
    t.ok((await luminance()) < 150, 'dark by the system');
    await page.emulateMedia({ colorScheme: 'light' });
    t.ok((await luminance()) > 600, 'light by the system');
    await page.getByLabel('Theme').selectOption('dark');
    t.ok((await luminance()) < 150, 'dark by choice');
    await page.reload();
    t.ok((await luminance()) < 150, 'and after loading again');
    t.equal(await page.getByLabel('Theme').inputValue(), 'dark');
    await page.context().close();
  });

  await t.test(
    'a checker of accessibility finds nothing, in either theme and at any width',
    async (t) => {
      const cluster = new TestCluster(t);
      for (const name of ['a', 'b']) await cluster.start(name);
      const { url } = cluster.member('a').node;
      await fetch(`${url}/groups/archive?category=logs`, { method: 'PUT' });
      await post(url, 'logs', `${'long '.repeat(200)}\nshort\n`);
      await cluster.stop('b');
      cluster.cutTable();
      const { client } = cluster.member('a');
      const telling = repeat(async () => {
        for (const state of ['running', 'retrying', 'stalled', 'standing by'] as const) {
          const name = state.replace(' ', '-');
          const report = { ...aReport, state, lastError: 'A sentence.', deadLetters: 3 };
          await client.reportPipeline({ kind: 'sink', name, category: 'logs' }, report);
        }
      });
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const size of [{ viewport: { width: 1360, height: 900 } }, phone]) {
          // The checker is put into the page as a script, which the policy of the page does not allow.
          const { page } = await open(url, { ...size, colorScheme, bypassCSP: true });
          await page.getByText(/^b is away/).waitFor();
          await page.locator('#pipelines-table tbody tr').nth(3).waitFor();
          await page.getByRole('button', { name: /^First messages of/ }).click();
          await page.locator('#tail-start').click();
          await page.locator('#sign-in-toggle').click();
          await page.getByText(/^Live since/).waitFor();
          await post(url, 'logs', 'tailed\n');
          await page.locator('#tail-list li').first().waitFor();
          const width = size.viewport.width;
          t.same(await violationsIn(page), [], `${colorScheme}, ${width} pixels wide`);
          await page.context().close();
        }
      }
      await telling.stop();
    },
  );
}

async function startLoneNode(t: Test): Promise<string> {
  const node = await startTestNode(testDirectory(t));
  t.teardown(() => node.close());
  return node.url;
}

async function post(url: string, category: string, body: string): Promise<void> {
  const answer = await fetch(`${url}/write?category=${category}`, { method: 'POST', body });
  if (!answer.ok) throw new Error(`write answered ${answer.status}: ${await answer.text()}`);
}

/** Waits until the first cell that the selector finds has such a text. */
async function untilText(page: Page, selector: string, pattern: RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: pattern }).first().waitFor();
}

/** Does something again and again until it is told to stop. */
function repeat(act: () => Promise<unknown>): { stop(): Promise<void> } {
  let isOver = false;
  const run = (async () => {
    while (!isOver) {
      await act();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await run;
    },
  };
}

/** What axe finds wrong by the rules of WCAG 2.2 AA and good practice: each as the rule and the places. */
async function violationsIn(page: Page): Promise<string[]> {
  await page.addScriptTag({
    content: readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'),
  });
  return page.evaluate(async () => {
    interface Found {
      readonly violations: readonly {
        readonly id: string;
        readonly nodes: readonly { readonly target: unknown; readonly failureSummary?: string }[];
      }[];
    }
    const { axe } = globalThis as unknown as { axe: { run(): Promise<Found> } };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`),
    );
  });
}
