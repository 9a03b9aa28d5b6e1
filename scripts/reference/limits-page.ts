import { formatBytes } from '../../src/common/quantity.js';
import * as protocolLimits from '../../src/protocol/limits.js';
import * as replicationLimits from '../../src/replication/limits.js';
import { code, escapeText, page, table } from './markdown.js';
import type { ExportModel, SourceModel } from './source-model.js';

/** The numbers that guard resources, with why they are what they are. */
export function limitsPage(model: SourceModel): string {
  const rows = (path: string, values: Readonly<Record<string, unknown>>): string[][] => {
    // One comment may stand above two numbers.
    let meaning = '';
    return model.exportsOf(path).flatMap((each) => {
      const value = values[each.name];
      if (typeof value !== 'number') return [];
      meaning = meaningOf(each) || meaning;
      return [[code(each.name), withUnit(each.name, value), meaning]];
    });
  };
  return page('Limits', [
    'By their names in the sources. What an [option](config.md) changes has its default here.',
    '## Protocol and node',
    table(['limit', 'value', 'meaning'], rows('src/protocol/limits.ts', protocolLimits)),
    '## Between nodes',
    table(['limit', 'value', 'meaning'], rows('src/replication/limits.ts', replicationLimits)),
  ]);
}

function meaningOf({ comment }: ExportModel): string {
  return escapeText(comment.text);
}

/** The unit is the end of the name. */
function withUnit(name: string, value: number): string {
  const stem = name.replace(/(Max|Min|Default)+$/, '');
  if (stem.endsWith('Bytes')) return formatBytes(value);
  if (stem.endsWith('Ms')) return exactDuration(value);
  const number = String(value).replace(/\B(?=(\d{3})+$)/g, ',');
  return stem.endsWith('Length') ? `${number} characters` : number;
}

/** In the largest unit of which it is a whole number. */
function exactDuration(milliseconds: number): string {
  const units = { h: 3_600_000, min: 60_000, s: 1_000, ms: 1 };
  const [unit, factor] = Object.entries(units).find(([, each]) => milliseconds % each === 0) ?? [
    'ms',
    1,
  ];
  return `${milliseconds / factor} ${unit}`;
}
