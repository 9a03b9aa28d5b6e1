import type { Hook } from '@oclif/core';
import { unknownCommand } from './explain-mistake.js';

/** oclif calls it for words that are no command: it names the nearest one, and the exit code says "misuse". */
const commandNotFound: Hook.CommandNotFound = async function explain({ id, config }) {
  process.stderr.write(`Error: ${unknownCommand(id, config.commandIDs)}\n`);
  this.exit(2);
};

export default commandNotFound;
