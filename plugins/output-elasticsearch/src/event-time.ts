/** The first number that is taken for milliseconds: in seconds it would be the year 5138. */
const millisecondsMin = 1e11;

const isoTime =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d+))?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * The time that a field has: ISO 8601 (in UTC when it names no zone), or seconds or milliseconds since 1970. `undefined` for
 * anything else. It never depends on now, so that a repetition goes to the same index.
 */
export function parseEventTime(value: unknown): Date | undefined {
  if (typeof value === 'number')
    return checkYear(new Date(value < millisecondsMin ? value * 1000 : value));
  if (typeof value !== 'string') return undefined;
  const parts = isoTime.exec(value);
  if (parts === null) return undefined;
  const [, day, clock = '00:00', , zone = 'Z'] = parts;
  const colonZone = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
  return checkYear(new Date(`${day}T${clock}${colonZone}`));
}

function checkYear(time: Date): Date | undefined {
  const year = time.getUTCFullYear();
  return year >= 0 && year <= 9999 ? time : undefined;
}
