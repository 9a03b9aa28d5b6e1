// Completes package-lock.json with the optional packages of other platforms that the registry at hand did
// not have when the lock file was made: `npm ci` refuses a lock file without them, on every platform. Their
// systems are read off their names, as their makers name them; they have no checksum. Run it after
// `npm install` where `npm ci` says that optional packages are missing; with a complete registry it changes
// nothing and can go.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const systems = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

const lock = JSON.parse(readFileSync(path, 'utf8'));
const { '': root, ...packages } = lock.packages;
let addedCount = 0;
for (const [place, owner] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    if (packages[`node_modules/${name}`] ?? packages[`${place}/node_modules/${name}`]) continue;
    packages[`node_modules/${name}`] = describe(name, version, owner.dev);
    addedCount += 1;
  }
}
const sorted = Object.entries(packages).sort(([left], [right]) => (left < right ? -1 : 1));
lock.packages = { '': root, ...Object.fromEntries(sorted) };
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${addedCount} packages of other platforms added`);

function describe(name, version, dev) {
  const words = name.split('/').at(-1).split('-');
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : [];
  return {
    version,
    ...(os.length > 0 ? { os } : {}),
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(libc.length > 0 ? { libc } : {}),
    ...(dev ? { dev: true } : {}),
    optional: true,
  };
}
