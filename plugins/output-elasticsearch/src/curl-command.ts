import type { TargetOptions } from './target-options.js';

/** The request that makes an API key with all rights that the output uses. */
export function apiKeyRequest(options: TargetOptions, address: string, index: string): string {
  return curl(options, address, 'POST', '/_security/api_key', {
    name: 'chukcha',
    role_descriptors: {
      chukcha: {
        cluster: ['monitor'],
        index: [
          { names: [index], privileges: ['create_doc', 'auto_configure', 'view_index_metadata'] },
        ],
      },
    },
  });
}

/** The request as people would send it; who they are is theirs to fill in. */
export function curl(
  options: TargetOptions,
  address: string,
  method: string,
  path: string,
  body?: unknown,
): string {
  const parts = ['curl'];
  if (options.authorization !== undefined) parts.push('-u "$ADMIN"');
  parts.push(`-X ${method}`, `'${address}${path}'`);
  if (body !== undefined) {
    // Names of fields come from messages: a quote in them must not end the argument.
    const text = JSON.stringify(body).replaceAll("'", "'\\''");
    parts.push("-H 'content-type: application/json'", `-d '${text}'`);
  }
  return parts.join(' ');
}
