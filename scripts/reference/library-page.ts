import { code, codeBlock, escapeText, page, table } from './markdown.js';
import type { ExportModel, MemberModel, SourceModel } from './source-model.js';

/** What programs import from `chukcha`. */
export function libraryPage(model: SourceModel): string {
  const exports = model.exportsOf('src/index.ts');
  const ofKind = (...kinds: readonly ExportModel['kind'][]): ExportModel[] =>
    exports.filter(({ kind }) => kinds.includes(kind)).sort(byName);
  const shapes = ofKind('interface', 'type');
  return page('The library', [
    codeBlock('js', ["import { Client, Consumer, Producer } from 'chukcha';"]),
    'Classes first, then what they take and give. Every size is in bytes and every time in milliseconds. Programs that use it are in ' +
      '[examples/library](../../examples/library/README.md).',
    ...ofKind('class').flatMap(describeClass),
    ...shapes.flatMap((each) =>
      each.kind === 'interface' ? describeShape(each) : describeType(each),
    ),
    ...ofKind('value').flatMap((each) => [
      `## ${code(each.name)}`,
      escapeText(each.comment.text) || 'All codes, as a value: see [errors](errors.md).',
    ]),
  ]);
}

function byName(left: ExportModel, right: ExportModel): number {
  return left.name < right.name ? -1 : 1;
}

function describeClass({ name, comment, members }: ExportModel): string[] {
  return [
    `## ${code(name)}`,
    comment.text,
    ...members.flatMap((member) => {
      const owner = member.isStatic ? `${name}.` : '';
      const signature =
        member.name === 'constructor'
          ? member.signature.replace(/^constructor/, `new ${name}`)
          : `${owner}${member.signature}`;
      const parameters = member.comment.parameters.map((text) => `- ${text}`).join('\n');
      return [codeBlock('ts', [signature]), withFallback(member), parameters];
    }),
  ];
}

function withFallback({ comment: { text, fallback } }: MemberModel): string {
  return fallback === undefined ? text : `${text}\n\nDefault: ${fallback}`;
}

function describeShape({ name, comment, members }: ExportModel): string[] {
  const hasDefaults = members.some((member) => member.comment.fallback !== undefined);
  const columns = ['field', 'type', ...(hasDefaults ? ['default'] : []), 'meaning'];
  return [
    `## ${code(name)}`,
    comment.text,
    table(
      columns,
      members.map((member) => [
        code(`${member.name}${member.isOptional ? '?' : ''}`),
        code(member.type || member.signature),
        ...(hasDefaults ? [escapeText(member.comment.fallback ?? '')] : []),
        escapeText(member.comment.text),
      ]),
    ),
  ];
}

function describeType({ name, comment, definition }: ExportModel): string[] {
  return [`## ${code(name)}`, comment.text, codeBlock('ts', [`type ${name} = ${definition}`])];
}
