import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';

/** Where Debian's package `chromium` puts it; another place can be named by the environment. */
const chromiumPath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

/** How long the page may take to show what happened. */
export const shownMsMax = 2_000;

/** A browser on a busy machine takes some seconds to start. */
const startMsMax = 30_000;

/** Nothing that a browser does by itself may be among the requests of a page. */
const launchArguments = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/**
 * Why tests that need a browser are skipped; `false` when it is there. Where `CI` is set it has to be there, so that no
 * run passes without these tests.
 */
export function reasonWithoutChromium(): string | false {
  if (existsSync(chromiumPath)) return false;
  const reason = `There is no Chromium at ${chromiumPath}: install it, as with apt-get install chromium, or name its place in CHROMIUM_PATH`;
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

/** Starts a Chromium that ends with the test. */
export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: launchArguments,
    timeout: startMsMax,
  });
  t.teardown(() => browser.close());
  return browser;
}

/** A page, and what went wrong in it. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors that the page threw or printed. */
  readonly errors: string[];
  /** The hosts that it has asked for anything. */
  readonly hosts: Set<string>;
}

/** Opens an address in a context of its own: without storage, cache and token of others. */
export async function openPage(
  browser: Browser,
  address: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const errors: string[] = [];
  const hosts = new Set<string>();
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.goto(address);
  return { page, errors, hosts };
}
