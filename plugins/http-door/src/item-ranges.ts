/** How many ranges are named; the rest is only counted. */
const rangeCountMax = 20;

/** Ascending numbers as people write them: `0-99, 120`. */
export function describeItems(items: readonly number[]): string {
  const ranges: string[] = [];
  for (let index = 0; index < items.length; ) {
    let last = index;
    while (items[last + 1] === (items[last] as number) + 1) last += 1;
    ranges.push(last === index ? `${items[index]}` : `${items[index]}-${items[last]}`);
    index = last + 1;
  }
  const more = ranges.length - rangeCountMax;
  return more > 0
    ? `${ranges.slice(0, rangeCountMax).join(', ')} and ${more} more ranges`
    : ranges.join(', ');
}
