import type { CheckStep } from '@chukcha/plugin-api';
import { checkMapping } from './check-mapping.js';
import { curl } from './curl-command.js';
import { ok, readJson, type TargetCheck } from './target-check.js';

/** Whether the index takes documents, or would be created, and whether the sample fits its mapping. */
export async function* checkIndex(check: TargetCheck): AsyncGenerator<CheckStep> {
  const { ring, index, signal } = check;
  const path = `/${encodeURIComponent(index)}`;
  const answer = await ring.send({ method: 'GET', path }, signal);
  if (answer.status === 404) {
    yield* checkMissingIndex(check);
    return;
  }
  if (answer.status !== 200) {
    yield {
      name: 'index',
      result: 'warning',
      detail: `Index ${index} could not be looked at: ${ring.describeAnswer(answer)}.`,
    };
    return;
  }
  const found = JSON.parse(answer.body.toString()) as Readonly<Record<string, IndexDescription>>;
  const streams = await readJson<{ data_streams?: readonly unknown[] }>(
    check,
    `/_data_stream/${encodeURIComponent(index)}`,
  );
  const isDataStream = (streams?.data_streams?.length ?? 0) > 0;
  yield describeIndex(check, found, isDataStream);
  if (isDataStream) yield* checkDataStream(check);
  // The newest backing index of a data stream or alias comes last by its name.
  const mappings =
    Object.entries(found)
      .sort(([first], [second]) => (first < second ? -1 : 1))
      .at(-1)?.[1].mappings ?? {};
  yield checkMapping(mappings, check.documents, (body) =>
    curl(check.options, check.address, 'PUT', `${path}/_mapping`, body),
  );
}

interface IndexDescription {
  readonly mappings?: Readonly<Record<string, unknown>>;
  readonly settings?: { readonly index?: { readonly blocks?: Readonly<Record<string, string>> } };
}

function describeIndex(
  check: TargetCheck,
  found: Readonly<Record<string, IndexDescription>>,
  isDataStream: boolean,
): CheckStep {
  const names = Object.keys(found);
  const { index, options, address } = check;
  const blocked = Object.entries(found).find(([, { settings }]) =>
    Object.entries(settings?.index?.blocks ?? {}).some(
      ([name, value]) => /^(write|read_only)/.test(name) && value === 'true',
    ),
  );
  if (blocked !== undefined) {
    return {
      name: 'index',
      result: 'failed',
      detail: `Index ${blocked[0]} does not take writes: it has the blocks ${Object.keys(blocked[1].settings?.index?.blocks ?? {}).join(', ')}.`,
      fix: curl(options, address, 'PUT', `/${encodeURIComponent(blocked[0])}/_settings`, {
        'index.blocks.write': null,
        'index.blocks.read_only': null,
        'index.blocks.read_only_allow_delete': null,
      }),
    };
  }
  if (isDataStream)
    return ok('index', `${index} is a data stream of ${names.length} backing indexes.`);
  if (names.includes(index)) return ok('index', `Index ${index} is there.`);
  return ok('index', `${index} is an alias of ${names.join(', ')}.`);
}

function* checkDataStream({ options, documents, index }: TargetCheck): Generator<CheckStep> {
  if (options.action === 'index') {
    yield {
      name: 'data stream',
      result: 'failed',
      detail: `${index} is a data stream, which takes no action index: expected action create.`,
      fix: '--set action=create',
    };
  }
  const missing = documents.filter(({ fields }) => fields['@timestamp'] === undefined).length;
  if (missing > 0) {
    yield {
      name: 'data stream',
      result: 'failed',
      detail: `${missing} of ${documents.length} messages of the sample have no field @timestamp, which every document of a data stream needs: they would become dead letters. Write messages that have it.`,
    };
  }
}

interface SettingsLevel {
  readonly action?: { readonly auto_create_index?: string };
}

/** The levels of settings; what stands in an earlier one counts. */
interface ClusterSettings {
  readonly transient?: SettingsLevel;
  readonly persistent?: SettingsLevel;
  readonly defaults?: SettingsLevel;
}

/** Whether the server would create the index with the first document. */
async function* checkMissingIndex(check: TargetCheck): AsyncGenerator<CheckStep> {
  const { index, options, address } = check;
  const settings = await readJson<ClusterSettings>(
    check,
    '/_cluster/settings?include_defaults=true&filter_path=*.action.auto_create_index',
  );
  const { transient, persistent, defaults } = settings ?? {};
  const rule = [transient, persistent, defaults]
    .map((level) => level?.action?.auto_create_index)
    .find((value) => value !== undefined);
  const path = `/${encodeURIComponent(index)}`;
  if (rule === 'false') {
    yield {
      name: 'index',
      result: 'failed',
      detail: `Index ${index} is not there, and the server creates none by itself (action.auto_create_index is false).`,
      fix: curl(options, address, 'PUT', path),
    };
    return;
  }
  const isKnown = rule === undefined || rule === 'true';
  yield {
    name: 'index',
    result: isKnown ? 'ok' : 'warning',
    detail: isKnown
      ? `Index ${index} is not there yet; the server creates it with the first document.`
      : `Index ${index} is not there yet; the server creates it when its rule action.auto_create_index allows that: ${String(rule)}.`,
    ...(isKnown ? {} : { fix: curl(options, address, 'PUT', path) }),
  };
}
