/** One source file, by its path from the root of the project. */
export interface SourceModule {
  readonly path: string;
  readonly text: string;
}

export interface ProjectSources {
  readonly modules: readonly SourceModule[];
  /** The names in `dependencies` and `peerDependencies` of each plugin's `package.json`, by the plugin's folder. */
  readonly pluginDependencies: Readonly<Record<string, readonly string[]>>;
}

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const everyFolder = [
  'common',
  'protocol',
  'storage',
  'server',
  'client',
  'coordination',
  'replication',
  'pipeline',
  'plugin-host',
  'node',
  'processes',
  'torture',
  'load',
  'commands',
] as const;

type Folder = (typeof everyFolder)[number];

/** What the modules of a folder of `src` may import from other folders. */
const allowedFolders: Readonly<Record<Folder, readonly Folder[]>> = {
  common: [],
  protocol: ['common'],
  storage: ['protocol', 'common'],
  client: ['protocol', 'common'],
  coordination: ['protocol', 'common'],
  replication: ['storage', 'protocol', 'common'],
  server: ['storage', 'protocol', 'common'],
  pipeline: ['client', 'storage', 'protocol', 'common'],
  'plugin-host': ['protocol', 'common'],
  node: ['storage', 'server', 'coordination', 'replication', 'protocol', 'common'],
  processes: ['client', 'protocol', 'common'],
  torture: ['processes', 'client', 'protocol', 'common'],
  load: ['processes', 'client', 'protocol', 'common'],
  commands: everyFolder,
};

interface PackageRule {
  readonly package: RegExp;
  /** Where it may be imported. */
  readonly allowed: RegExp;
  /** Where its types may be imported too. */
  readonly typesAllowed?: RegExp;
  readonly fileCountMax?: number;
}

const packageRules: readonly PackageRule[] = [
  { package: /^koa$/, allowed: /^(src\/server|plugins\/http-door)\// },
  // What it uses of time and network, etcd3 uses: the adapter itself has the clock for its own waits.
  { package: /^etcd3$/, allowed: /^src\/coordination\//, fileCountMax: 1 },
  { package: /^pino$/, allowed: /^src\/common\/json-log-lines\.ts$/ },
  { package: /^cockatiel$/, allowed: /^src\/coordination\/etcd-member\.ts$/ },
  {
    package: /^@oclif\/core(\/|$)/,
    allowed: /^(bin|src\/commands|plugins\/output-clickhouse\/src\/commands)\//,
    typesAllowed: /^src\/plugin-host\//,
  },
  { package: /^chokidar$/, allowed: /^plugins\/input-file\// },
  {
    package: /^@chukcha\/plugin-api(\/|$)/,
    allowed: /^(src\/(pipeline|plugin-host|commands)\/|src\/index\.ts$|plugins\/)/,
  },
  // Plugins are found by oclif and loaded by their descriptors, the built-in ones too.
  { package: /^@chukcha\/(in|out)put-/, allowed: /^$/ },
];

/** Folders that see time, chance, disk and network through ports only, and the adapters behind these. */
const portedFolders = /^src\/(storage|replication|coordination)\//;
const adapterFiles = [
  'src/storage/node-disk.ts',
  'src/storage/directory-lock.ts',
  'src/replication/node-network.ts',
];
const portedModules = /^(node:)?(fs|fs\/promises|http|https|http2|net|timers|timers\/promises)$/;
const portedGlobals: Readonly<Record<string, RegExp>> = {
  'Date.now': /\bDate\s*\.\s*now\b/,
  'new Date()': /\bnew\s+Date\s*\(\s*\)/,
  setTimeout: /\bsetTimeout\b/,
  setInterval: /\bsetInterval\b/,
  setImmediate: /\bsetImmediate\b/,
  'Math.random': /\bMath\s*\.\s*random\b/,
  'performance.now': /\bperformance\s*\.\s*now\b/,
};

/** Finds what breaks the import rules of the project; one sentence for each, in the order of the modules. */
export function findRuleBreaches({ modules, pluginDependencies }: ProjectSources): string[] {
  const breaches = modules.flatMap((module) => [
    ...findFolderBreaches(module),
    ...findPackageBreaches(module),
    ...findPluginBreaches(module, pluginDependencies),
    ...findPortBreaches(module),
  ]);
  return [...breaches, ...findCrowdedPackages(modules), ...findCycles(modules)];
}

function findFolderBreaches({ path, text }: SourceModule): string[] {
  const folder = folderOf(path);
  if (folder === undefined) return [];
  const allowed = (allowedFolders as Readonly<Record<string, readonly string[]>>)[folder];
  if (allowed === undefined) return [`${path} is in a folder that the table of import rules lacks`];
  return importsOf(text).flatMap(({ specifier }) => {
    const target = resolve(path, specifier);
    if (target === undefined) return [];
    const targetFolder = folderOf(target);
    const known = targetFolder === folder || (targetFolder && allowed.includes(targetFolder));
    return known ? [] : [`${path} imports ${target}, which ${folder} may not`];
  });
}

function findPackageBreaches({ path, text }: SourceModule): string[] {
  return importsOf(text).flatMap(({ specifier, typeOnly }) =>
    packageRules
      .filter((rule) => rule.package.test(specifier) && !rule.allowed.test(path))
      .filter((rule) => !(typeOnly && rule.typesAllowed?.test(path)))
      .map(() => `${path} imports ${specifier}, which is kept to other places`),
  );
}

function findPluginBreaches(
  { path, text }: SourceModule,
  pluginDependencies: ProjectSources['pluginDependencies'],
): string[] {
  const plugin = /^(plugins\/[^/]+)\/src\//.exec(path)?.[1];
  if (plugin === undefined) return [];
  const dependencies = pluginDependencies[plugin] ?? [];
  return importsOf(text).flatMap(({ specifier }) => {
    const target = resolve(path, specifier);
    if (target !== undefined) {
      return target.startsWith(`${plugin}/src/`)
        ? []
        : [`${path} imports ${target}, outside of it`];
    }
    const known = specifier.startsWith('node:') || dependencies.includes(packageOf(specifier));
    return known ? [] : [`${path} imports ${specifier}, which is not a dependency of ${plugin}`];
  });
}

function findPortBreaches({ path, text }: SourceModule): string[] {
  if (!portedFolders.test(path) || adapterFiles.includes(path)) return [];
  const code = withoutComments(text);
  const globals = Object.entries(portedGlobals).filter(([, pattern]) => pattern.test(code));
  const imported = importsOf(text).filter(
    ({ specifier, typeOnly }) => !typeOnly && portedModules.test(specifier),
  );
  return [...globals.map(([name]) => name), ...imported.map(({ specifier }) => specifier)].map(
    (name) => `${path} uses ${name} past the ports`,
  );
}

function findCrowdedPackages(modules: readonly SourceModule[]): string[] {
  return packageRules.flatMap((rule) => {
    const users = modules.filter(({ text }) =>
      importsOf(text).some(({ specifier }) => rule.package.test(specifier)),
    );
    if (users.length <= (rule.fileCountMax ?? users.length)) return [];
    return [`${users.map(({ path }) => path).join(', ')} all import what one file may`];
  });
}

/** Every cycle that a walk from each module meets first; imports of types alone make none. */
function findCycles(modules: readonly SourceModule[]): string[] {
  const edges = new Map(modules.map(({ path, text }) => [path, runtimeTargets(path, text)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      cycles.push(`${[...trail.slice(start), path].join(' -> ')} is a cycle`);
      return;
    }
    if (done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return cycles;
}

function runtimeTargets(path: string, text: string): string[] {
  return importsOf(text)
    .filter(({ typeOnly }) => !typeOnly)
    .map(({ specifier }) => resolve(path, specifier))
    .filter((target) => target !== undefined);
}

/**
 * The modules that a text imports, also by `export ... from` and by `import()`. `{ type A }` counts as
 * an import of values: with `verbatimModuleSyntax` the module is loaded for it.
 */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const imports: Import[] = [];
  const statement =
    /^[ \t]*(?:import|export)\s+(type\s+(?!from\b))?[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm;
  for (const [, type, specifier = ''] of code.matchAll(statement)) {
    imports.push({ specifier, typeOnly: type !== undefined });
  }
  const bareOrDynamic = /(?:^[ \t]*import\s*|\bimport\s*\(\s*)['"]([^'"]+)['"]/gm;
  for (const [, specifier = ''] of code.matchAll(bareOrDynamic)) {
    imports.push({ specifier, typeOnly: false });
  }
  return imports;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function folderOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

/** The source behind a relative import; `undefined` for packages. */
function resolve(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const url = new URL(specifier, `file:///${path}`);
  return url.pathname.slice(1).replace(/\.js$/, '.ts');
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
