import {
  type DoorAnswer,
  type DoorProtocol,
  type DoorRequest,
  isCategoryName,
  quote,
  RequestError,
} from '@chukcha/http-door';
import { type CheckedLines, checkJson, checkNdjson, checkText } from './checked-lines.js';

/** How a body is read. */
type BodyForm = 'text' | 'ndjson' | 'json';

/**
 * What content types mean; none at all is text. `curl --data-binary` names a form, which it does not mean.
 */
const formOfType: ReadonlyMap<string, BodyForm> = new Map([
  ['', 'text'],
  ['application/octet-stream', 'text'],
  ['application/x-www-form-urlencoded', 'text'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['application/json', 'json'],
]);

/** The parameters that a request may have. */
const parameterNames: ReadonlySet<string> = new Set(['partial']);

/** `POST /` and `POST /<category>` with lines, one batch for each request. */
export const linesProtocol: DoorProtocol = {
  name: 'http',
  answer: async (request) => {
    const category = checkRoute(request);
    const takesPart = checkParameters(request);
    const form = bodyForm(request.mediaType);
    const checked = await readLines(request, form);
    if (checked.problems.length > 0 && !(takesPart && checked.lineCount > 0))
      throw refusal(checked);
    await request.write(checked.bytes, category);
    return answerFor(checked);
  },
};

/** The category that the path names, if any. */
function checkRoute(request: DoorRequest): string | undefined {
  const name = request.path.slice(1);
  if (name.includes('/')) {
    throw new RequestError(
      'not_found',
      `There is nothing at ${quote(request.path)}: expected POST / or POST /<category>, or GET /health.`,
    );
  }
  if (request.method !== 'POST') {
    throw new RequestError(
      'method_not_allowed',
      `${request.method} is not possible here: expected POST with lines in the body.`,
      { headers: { Allow: 'POST' } },
    );
  }
  if (name === '') return undefined;
  if (isCategoryName(name)) return name;
  throw new RequestError(
    'invalid_name',
    `Category name ${quote(name)} is not valid: expected 1 to 128 of the characters A-Z, a-z, 0-9, _ and -.`,
  );
}

/** Whether the client wants the good lines stored when some are bad. */
function checkParameters(request: DoorRequest): boolean {
  const unknown = request.parameterNames().find((name) => !parameterNames.has(name));
  if (unknown !== undefined) {
    throw new RequestError(
      'invalid_request',
      `The parameter ${quote(unknown)} is not known here: expected partial or none; nothing was accepted.`,
    );
  }
  const value = request.parameter('partial') ?? 'false';
  if (value === 'true' || value === 'false') return value === 'true';
  throw new RequestError(
    'invalid_request',
    `The parameter partial is ${quote(value)}: expected true or false; nothing was accepted.`,
  );
}

function bodyForm(type: string): BodyForm {
  const form = formOfType.get(type) ?? (type.startsWith('text/') ? 'text' : undefined);
  if (form !== undefined) return form;
  throw new RequestError(
    'unsupported_content_type',
    `The body has the Content-Type ${quote(type)}: expected lines as text/plain or application/x-ndjson, or an array as application/json; nothing was accepted.`,
  );
}

async function readLines(request: DoorRequest, form: BodyForm): Promise<CheckedLines> {
  const { limits } = request;
  // An array may have white space that its lines will not have.
  if (form === 'json') return checkJson(await request.readBody(), request);
  const body = await request.readBody(limits.batchBytesMax);
  return form === 'text' ? checkText(body, request) : checkNdjson(body, request);
}

function refusal({ problems, lineCount }: CheckedLines): RequestError {
  const tooLongOnly = problems.every(({ isTooLong }) => isTooLong);
  const total = lineCount + problems.length;
  const [first] = problems;
  return new RequestError(
    tooLongOnly ? 'message_too_large' : 'invalid_lines',
    `${problems.length} of ${total} lines cannot be taken, the first of them is line ${first?.line}: ${first?.reason}. ` +
      'Nothing was accepted; mend or leave out what is listed in lines, or ask for the others with ?partial=true.',
    { problems: problems.map(({ line, reason }) => ({ line, reason })) },
  );
}

function answerFor({ bytes, lineCount, blankLineCount, problems }: CheckedLines): DoorAnswer {
  return {
    status: 200,
    body: {
      accepted: true,
      bytes: bytes.length,
      lines: lineCount,
      ...(blankLineCount > 0 ? { blank_lines_left_out: blankLineCount } : {}),
      ...(problems.length > 0
        ? {
            lines_refused: problems.length,
            refused: problems.slice(0, 100).map(({ line, reason }) => ({ line, reason })),
          }
        : {}),
    },
  };
}
