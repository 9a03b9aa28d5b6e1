/** What the bus takes as a category. */
const categoryPattern = /^[A-Za-z0-9_-]{1,128}$/;

/** How long a category may be. */
const categoryLengthMax = 128;

/** A date at the end of the name of an index: `-2026.11.25`, `-2026-11`, with a counter behind it. */
const datePattern = /[-_.]\d{4}[-_.]\d{2}(?:[-_.]\d{2})?(?:-\d+)?$/;

/** True when the bus takes the name. */
export function isCategoryName(name: string): boolean {
  return categoryPattern.test(name);
}

/**
 * The category for the name of an index: a date at its end is left out on request, what a category cannot
 * have becomes `_`, and it is cut to 128 characters. `undefined` for a name of nothing.
 */
export function categoryOfIndex(index: string, withDate: boolean): string | undefined {
  const name = withDate ? index : index.replace(datePattern, '') || index;
  const category = name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, categoryLengthMax);
  return category === '' ? undefined : category;
}
