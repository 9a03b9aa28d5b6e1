/** A promise of the node that did not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
