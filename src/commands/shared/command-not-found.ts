import type { Hook } from '@oclif/core';
import { escapeUnprintable } from '../../common/printable.js';
import { exitCodes } from './exit-codes.js';
import { unknownCommand } from './explain-mistake.js';

/** oclif calls it for words that are no command: it names the nearest one, and the exit code says "misuse". */
const commandNotFound: Hook.CommandNotFound = async function explain({ id, config }) {
  const sentence = escapeUnprintable(unknownCommand(id, config.commandIDs));
  process.stderr.write(`Error: ${sentence}\n`);
  this.exit(exitCodes.misuse.code);
};

export default commandNotFound;
