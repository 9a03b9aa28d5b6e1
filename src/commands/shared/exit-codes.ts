/** The exit codes of all commands. */
export const exitCodes = {
  done: {
    code: 0,
    meaning: 'What was asked for is done, or was ended by SIGINT or SIGTERM in good order.',
  },
  failure: {
    code: 1,
    meaning: 'It did not work out, or a check has found something; standard error has a sentence.',
  },
  misuse: {
    code: 2,
    meaning:
      'The words of the command cannot be meant, and nothing was done; standard error says why.',
  },
  interrupted: { code: 130, meaning: 'A second SIGINT has ended it at once.' },
  terminated: { code: 143, meaning: 'A second SIGTERM has ended it at once.' },
} as const;
