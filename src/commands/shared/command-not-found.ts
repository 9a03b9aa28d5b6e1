import type { Hook } from '@oclif/core';
import { exitCodes } from './exit-codes.js';
import { unknownCommand } from './explain-mistake.js';

/** oclif calls it for words that are no command: it names the nearest one, and the exit code says "misuse". */
const commandNotFound: Hook.CommandNotFound = async function explain({ id, config }) {
  process.stderr.write(`Error: ${unknownCommand(id, config.commandIDs)}\n`);
  this.exit(exitCodes.misuse.code);
};

export default commandNotFound;
