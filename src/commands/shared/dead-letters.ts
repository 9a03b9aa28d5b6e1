import type { Client } from '../../client/client.js';
import { type DeadLetter, deadLetterCategory } from '../../pipeline/dead-letter.js';
import { DeadLetterDrawer } from '../../pipeline/dead-letter-drawer.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { checkCategoryName } from '../../protocol/names.js';

/** Which letters are meant. */
export interface LetterChoice {
  readonly ids: readonly string[];
  readonly all: boolean;
  readonly reason: string | undefined;
}

/** Throws `invalid_option` when nothing says which letters are meant. */
export function checkChoice(choice: LetterChoice, verb: string): void {
  if (choice.all || choice.reason !== undefined || choice.ids.length > 0) return;
  throw new ChukchaError(
    'invalid_option',
    `It was not said which letters to ${verb}: give their ids, --reason TEXT, or --all.`,
  );
}

export function isChosen(letter: DeadLetter, { ids, all, reason }: LetterChoice): boolean {
  if (ids.length > 0) return ids.includes(letter.id);
  if (reason !== undefined) return letter.reason.includes(reason);
  return all;
}

/** The letters of a category. Throws `invalid_name`. */
export function openDrawer(client: Client, category: string): DeadLetterDrawer {
  checkCategoryName(category);
  const letters = deadLetterCategory(category);
  if (letters === undefined) {
    throw new ChukchaError(
      'invalid_name',
      `The name of category ${category} is too long to have dead letters.`,
    );
  }
  return new DeadLetterDrawer(client, letters);
}
