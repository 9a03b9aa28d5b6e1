import { join } from 'node:path';
import type { Node } from 'typescript/unstable/ast';
import { isConstructorDeclaration, isVariableDeclaration } from 'typescript/unstable/ast/is';
import {
  API,
  type Symbol as CompilerSymbol,
  type Project,
  SymbolFlags,
} from 'typescript/unstable/sync';

/** A part of a class or an interface. */
export interface MemberModel {
  readonly name: string;
  /** As a caller sees it, without a body: `write(category: string): Promise<void>`. */
  readonly signature: string;
  /** The type of a property, as it stands in the source. */
  readonly type: string;
  readonly isStatic: boolean;
  readonly isOptional: boolean;
  readonly comment: Comment;
}

/** A doc comment. */
interface Comment {
  readonly text: string;
  /** What stands behind `@default`. */
  readonly fallback: string | undefined;
  /** What stands behind each `@param`. */
  readonly parameters: readonly string[];
}

/** Something that a module exports. */
export interface ExportModel {
  readonly name: string;
  readonly kind: 'class' | 'interface' | 'type' | 'value';
  readonly comment: Comment;
  /** Of a type: what stands behind its name. */
  readonly definition: string;
  readonly members: readonly MemberModel[];
}

/**
 * The sources as the compiler sees them. Its programming interface is marked as unstable, so it is used here and nowhere
 * else; the version of the compiler is a fixed one.
 */
export class SourceModel {
  readonly #api: API;
  readonly #root: string;
  /** By directory. */
  readonly #projects = new Map<string, Project>();

  /** @param root the directory of the root package */
  constructor(root: string) {
    this.#root = root;
    this.#api = new API({ cwd: root });
  }

  /**
   * What a module exports, in its order.
   *
   * @param path from the root package
   */
  exportsOf(path: string): ExportModel[] {
    const project = this.#projectOf(path);
    const file = project.program.getSourceFile(join(this.#root, path));
    const module = file === undefined ? undefined : project.checker.getSymbolAtLocation(file);
    if (module === undefined) throw new Error(`${path} is no module of its project.`);
    return project.checker.getExportsOfModule(module).map((symbol) => exportModel(project, symbol));
  }

  /** Ends the compiler's process. */
  close(): void {
    this.#api.close();
  }

  /** Each package is a project of the compiler. */
  #projectOf(path: string): Project {
    const directory = /^plugins\/[^/]+/.exec(path)?.[0] ?? '.';
    const known = this.#projects.get(directory);
    if (known !== undefined) return known;
    const configFile = join(this.#root, directory, 'tsconfig.json');
    const project = this.#api.updateSnapshot({ openProjects: [configFile] }).getProject(configFile);
    if (project === undefined) throw new Error(`${configFile} is not a project of the compiler.`);
    this.#projects.set(directory, project);
    return project;
  }
}

function exportModel(project: Project, exported: CompilerSymbol): ExportModel {
  const { checker } = project;
  const isAlias = (exported.flags & SymbolFlags.Alias) !== 0;
  const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
  const { flags } = symbol;
  const model = { name: exported.name, comment: commentOf(project, symbol) };
  if ((flags & (SymbolFlags.Class | SymbolFlags.Interface)) !== 0) {
    const kind = (flags & SymbolFlags.Class) === 0 ? 'interface' : 'class';
    return { ...model, kind, definition: '', members: membersOf(project, symbol) };
  }
  const kind = (flags & SymbolFlags.TypeAlias) === 0 ? 'value' : 'type';
  const definition = definitionOf(declarationOf(project, symbol));
  return { ...model, kind, definition, members: [] };
}

/** Those of an interface with those that it has from others; those of a class with its constructor and what is static. */
function membersOf(project: Project, symbol: CompilerSymbol): MemberModel[] {
  const { checker } = project;
  const own = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol));
  const statics = [...symbol.getExports().values()].filter(({ name }) => name !== 'prototype');
  const constructors = [...symbol.getMembers().values()].filter(
    ({ flags }) => (flags & SymbolFlags.Constructor) !== 0,
  );
  return [
    ...constructors.map((each) => memberModel(project, each, false)),
    ...statics.map((each) => memberModel(project, each, true)),
    ...own.map((each) => memberModel(project, each, false)),
  ].filter((member) => member !== undefined);
}

/** `undefined` for what callers cannot use, and for what a class has from those of the language, such as `Error`. */
function memberModel(
  project: Project,
  symbol: CompilerSymbol,
  isStatic: boolean,
): MemberModel | undefined {
  const declaration = declarationOf(project, symbol);
  const text = declaration.getText();
  if (/^((static|readonly|async|get|set) )*(#|private |protected )/.test(text)) return undefined;
  const { fileName } = declaration.getSourceFile();
  if (/\/node_modules\/|\/lib\.[^/]*$/.test(fileName)) return undefined;
  const head = headOf(declaration, text);
  return {
    name: isConstructorDeclaration(declaration) ? 'constructor' : symbol.name,
    signature: head,
    type: /^[^(:]*?\??: ([\s\S]*)$/.exec(head)?.[1] ?? '',
    isStatic,
    isOptional: (symbol.flags & SymbolFlags.Optional) !== 0,
    comment: commentOf(project, symbol),
  };
}

function declarationOf(project: Project, symbol: CompilerSymbol): Node {
  const node = (symbol.valueDeclaration ?? symbol.declarations[0])?.resolve(project);
  if (node === undefined) throw new Error(`${symbol.name} is declared nowhere.`);
  return node;
}

function commentOf({ checker }: Project, symbol: CompilerSymbol): Comment {
  const tags = checker.getJsDocTagsOfSymbol(symbol);
  const textsOf = (wanted: string): string[] =>
    tags.flatMap(({ name, text }) => (name === wanted ? [plainLinks(String(text ?? ''))] : []));
  return {
    text: plainLinks(checker.getDocumentationCommentOfSymbol(symbol)),
    fallback: textsOf('default')[0],
    parameters: textsOf('param'),
  };
}

/** `{@link Thing}` is for editors. */
function plainLinks(text: string): string {
  return text.replace(/\{@link ([^}]+)\}/g, '`$1`').trim();
}

/** A declaration up to its body, without words that do not concern callers. */
function headOf(declaration: Node, text: string): string {
  const { body, initializer } = declaration as {
    readonly body?: Node;
    readonly initializer?: Node;
  };
  const end = body ?? initializer;
  const head = end === undefined ? text : text.slice(0, end.pos - declaration.getStart());
  return head
    .replace(/\/\*\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/[;={\s]+$/, '')
    .replace(/^((?:static |override )*)get ([^(]+)\(\)/, '$1$2')
    .replace(/^((static|readonly|async|get|override) )*\*?/, '')
    .replace(/,\s*\)/g, ' )')
    .replace(/\( /g, '(')
    .replace(/ \)/g, ')');
}

function definitionOf(declaration: Node): string {
  const text = declaration.getText();
  if (isVariableDeclaration(declaration)) return headOf(declaration, text);
  return text
    .slice(text.indexOf('=') + 1)
    .replace(/;$/, '')
    .trim();
}
