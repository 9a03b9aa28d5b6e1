/**
 * Splits what stands behind `file:` at its commas; a comma in braces belongs to its glob, and one behind
 * a backslash to its path. Throws an `Error` when a path is missing.
 */
export function parsePathList(rest: string): string[] {
  const paths: string[] = [];
  let path = '';
  let depth = 0;
  for (let at = 0; at < rest.length; at += 1) {
    const character = rest.charAt(at);
    if (character === '\\') {
      // Globs know this escape too, so it stays.
      path += rest.slice(at, at + 2);
      at += 1;
    } else if (character === ',' && depth === 0) {
      paths.push(path);
      path = '';
    } else {
      if (character === '{') depth += 1;
      if (character === '}' && depth > 0) depth -= 1;
      path += character;
    }
  }
  paths.push(path);
  if (paths.includes('')) {
    throw new Error(
      'Expected file:<path or glob>, and a comma between several of them, for example file:/var/log/app.log.',
    );
  }
  return paths;
}
