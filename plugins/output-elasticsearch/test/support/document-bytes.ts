/** The message that a document was made of, with its newline: undoes what the output does to messages that are text. */
export function messageOf(source: Buffer): Buffer {
  const text = source.toString();
  const wrapped = /^\{"message(_base64)?":(".*")\}$/.exec(text);
  if (wrapped === null) return Buffer.concat([source, Buffer.from('\n')]);
  const value = JSON.parse(wrapped[2] as string) as string;
  return Buffer.concat([
    Buffer.from(value, wrapped[1] === undefined ? 'utf8' : 'base64'),
    Buffer.from('\n'),
  ]);
}
