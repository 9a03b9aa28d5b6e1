import type { Test } from 'tap';

type Content = Parameters<Test['testdir']>[0];

/**
 * A directory for one test, which is removed only after the test's teardowns have run: nodes write their
 * last files while they stop. tap removes its fixtures first unless a teardown was registered before.
 */
export function testDirectory(t: Test, content: Content = {}): string {
  t.teardown(() => undefined);
  return t.testdir(content);
}
