/** How the connections of an attack ended, and what of that must not be. */
export class Tally {
  readonly violations: string[] = [];
  readonly #counts = new Map<string, number>();

  /** Counts an outcome, which is a violation when it is none of the allowed ones. */
  count(outcome: string, allowed: RegExp): void {
    const counted = this.#counts.get(outcome) ?? 0;
    this.#counts.set(outcome, counted + 1);
    if (counted === 0 && !allowed.test(outcome)) {
      this.violations.push(`"${outcome}" is none of ${allowed}`);
    }
  }

  /** Adds a figure that is told and not judged. */
  note(text: string): void {
    this.#counts.set(text, 0);
  }

  toString(): string {
    const parts = [...this.#counts].map(([text, count]) =>
      count === 0 ? text : `${count} x ${text}`,
    );
    return parts.join(', ');
  }
}
