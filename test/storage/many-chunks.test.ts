import t from 'tap';
import { CrashDisk } from '../support/crash-disk.js';
import { append, openStore } from '../support/test-store.js';

const categoryCount = 100;
const chunkCount = 10;

await t.test('many chunks in many categories are listed without a look at the disk', async (t) => {
  let callCount = 0;
  const disk = new Proxy(new CrashDisk(), {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...words: unknown[]): unknown => {
        callCount += 1;
        return value.apply(target, words);
      };
    },
  });
  const store = await openStore({ directory: '/data', disk, chunkBytesMax: 1 });
  for (let index = 0; index < categoryCount; index += 1) {
    const category = await store.category(`c${index}`);
    for (let count = 0; count < chunkCount; count += 1) await append(category, 'x\n');
  }
  t.ok(callCount > categoryCount * chunkCount, 'the disk is looked at');
  callCount = 0;
  let listed = 0;
  for (const name of await store.listCategories()) {
    listed += (await store.category(name)).view.list('default').length;
  }
  t.equal(listed, categoryCount * chunkCount);
  t.equal(callCount, 0);
});
