import type { CheckStep } from '@chukcha/plugin-api';
import { apiKeyRequest } from './curl-command.js';
import { ok, type TargetCheck } from './target-check.js';

/** Only the security of Elasticsearch can be asked for rights without writing. */
export async function checkRights(check: TargetCheck): Promise<CheckStep> {
  const { ring, signal, index, options, address, flavour } = check;
  const privileges = ['create_doc', 'auto_configure'];
  const body = { index: [{ names: [index], privileges }] };
  const answer = await ring.send(
    {
      method: 'POST',
      path: '/_security/user/_has_privileges',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(body)),
    },
    signal,
  );
  const granted =
    answer.status === 200
      ? (JSON.parse(answer.body.toString()) as { index?: Record<string, Record<string, boolean>> })
          .index?.[index]
      : undefined;
  if (granted === undefined) {
    return {
      name: 'rights',
      result: options.authorization === undefined ? 'ok' : 'warning',
      detail:
        options.authorization === undefined
          ? 'The server asks for no credentials, so it has no rights to check.'
          : `Rights could not be looked at on this server (${flavour}): the user needs those to create documents${flavour === 'OpenSearch' ? ', indices:data/write/bulk* and indices:admin/create' : ''}.`,
    };
  }
  if (granted['create_doc'] !== true) {
    return {
      name: 'rights',
      result: 'failed',
      detail: `The credentials do not have the privilege create_doc on ${index}.`,
      fix: apiKeyRequest(options, address, index),
    };
  }
  if (granted['auto_configure'] !== true) {
    return {
      name: 'rights',
      result: 'warning',
      detail: `The credentials may create documents in ${index}, but not the index or new fields (auto_configure).`,
      fix: apiKeyRequest(options, address, index),
    };
  }
  return ok('rights', `The credentials may create documents in ${index}.`);
}
