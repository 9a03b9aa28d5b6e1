/**
 * The names that a file may have had before it was rotated: `app.log.1.gz` was `app.log.1`, `app.log`, or `app`,
 * and `app-2026-01-31.log` may have been `app.log`. A number, a date, or an ending is put behind the name or
 * before its ending.
 */
export function namesBeforeRotation(name: string): string[] {
  const names = new Set<string>();
  const ending = /\.[A-Za-z]\w*$/.exec(name)?.[0] ?? '';
  for (let at = name.length - 1; at > 0; at -= 1) {
    if (!'.-_'.includes(name.charAt(at))) continue;
    const stem = name.slice(0, at);
    if (ending !== '' && stem + ending !== name && !stem.endsWith(ending)) names.add(stem + ending);
    names.add(stem);
  }
  return [...names];
}

/** Whether one name may have become the other by a rotation, or both come from one by numbers and dates. */
export function areRotationsOfOne(left: string, right: string): boolean {
  return (
    left === right ||
    rotationStem(left) === rotationStem(right) ||
    namesBeforeRotation(left).includes(right) ||
    namesBeforeRotation(right).includes(left)
  );
}

/** A name without what rotations put into names: numbers, dates, and the ending of packed files. */
export function rotationStem(name: string): string {
  return name.replace(/\.gz$/, '').replaceAll(/[.\-_]\d[\dT]*(?=[.\-_]|$)/g, '');
}
