import { PluginError, type PluginErrorKind } from '@chukcha/plugin-api';
import { credentialCodes, errorMeanings } from './error-classes.js';
import { ServerError } from './server-error.js';
import { ConnectionError, HttpError } from './transport-errors.js';

/** Says what mends an error of the server, as a sentence with the exact statement; undefined when nothing is known. */
export type FixFinder = (error: ServerError) => string | undefined;

/** The insert has more than one part of the server can take at once: a part of it may be taken. */
function isTooLarge(error: unknown): boolean {
  if (error instanceof HttpError) return error.status === 413;
  return isServerError(error, 252) && /single INSERT block/i.test(error.message);
}

/** The table has too many parts: the server wants fewer and larger inserts. */
export function isTooManyParts(error: unknown): boolean {
  return isServerError(error, 252) && !isTooLarge(error);
}

/** A key that the table has no column for. */
export function unknownFieldOf(error: unknown): string | undefined {
  if (!isServerError(error, 117)) return undefined;
  const found = /Unknown field found while parsing \w+ format: (.*?)(?:: \(at row \d+\)|$)/.exec(
    error.message,
  );
  return found?.[1];
}

/** What the host has to do about whatever an engine threw. */
export function kindOf(error: unknown): PluginErrorKind {
  if (error instanceof PluginError) return error.kind;
  if (isTooLarge(error)) return 'data';
  if (error instanceof ServerError) return kindOfServerError(error);
  if (error instanceof HttpError) return kindOfStatus(error.status);
  if (error instanceof ConnectionError) return isForPeople(error.code) ? 'operator' : 'transient';
  return 'transient';
}

/** The error for the host: one sentence, without secrets. */
export function toPluginError(error: unknown, label: string, findFix: FixFinder): PluginError {
  if (error instanceof PluginError) return error;
  const kind = kindOf(error);
  return new PluginError(kind, sentenceOf(error, label, findFix), { cause: error });
}

function sentenceOf(error: unknown, label: string, findFix: FixFinder): string {
  if (error instanceof ServerError) {
    const name = errorMeanings.get(error.code)?.name;
    const said = `${label} says (code ${error.code}${name === undefined ? '' : `, ${name}`}): ${error.message}`;
    const fix = findFix(error);
    return fix === undefined ? said : `${said.replace(/[.:]*$/, '')}. ${fix}`;
  }
  if (error instanceof HttpError) {
    return `${label} answered with status ${error.status} and no error of ClickHouse ("${error.message}"): ${adviceOfStatus(error.status)}`;
  }
  if (error instanceof ConnectionError) {
    return `${label} could not be asked (${error.message}): ${adviceOfConnection(error.code)}`;
  }
  return `${label} could not be used: ${error instanceof Error ? error.message : String(error)}.`;
}

function kindOfServerError(error: ServerError): PluginErrorKind {
  const kind = errorMeanings.get(error.code)?.kind ?? 'transient';
  // The table has its rows by then: smaller inserts would store them a second time. Somebody has to mend the view.
  if (kind === 'data' && isOfView(error)) return 'operator';
  return kind;
}

export function isOfView(error: ServerError): boolean {
  return error.message.includes('while pushing to view');
}

export function isOfCredentials(error: unknown): boolean {
  return error instanceof ServerError && credentialCodes.has(error.code);
}

function kindOfStatus(status: number): PluginErrorKind {
  return status === 408 || status === 425 || status === 429 || status >= 500
    ? 'transient'
    : 'operator';
}

function adviceOfStatus(status: number): string {
  if (kindOfStatus(status) === 'transient')
    return 'it may be busy or starting, and is asked again.';
  if (status === 401 || status === 403)
    return 'expected that user and password are taken; look at both, and at what stands between.';
  return 'expected the HTTP interface of ClickHouse; look at the host, the port (8123, or 8443 with tls) and what stands between.';
}

function adviceOfConnection(code: string): string {
  if (!isForPeople(code)) return 'it is asked again; look whether it runs and can be reached.';
  if (code === 'ENOTFOUND') return 'there is no host of this name; look at the address.';
  if (code.startsWith('HPE_') || code === 'EPROTO' || code.startsWith('ERR_SSL'))
    return 'expected the HTTP interface; look at the port (8123, or 8443 with tls) and at the option tls.';
  return 'its certificate is not trusted; give the one that it is signed with by the option ca_file.';
}

function isForPeople(code: string): boolean {
  return /^(ENOTFOUND|EPROTO|HPE_|ERR_SSL|ERR_TLS|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_)/.test(code);
}

function isServerError(error: unknown, code: number): error is ServerError {
  return error instanceof ServerError && error.code === code;
}
