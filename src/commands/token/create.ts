import { createHash, randomBytes } from 'node:crypto';
import { Args, Flags } from '@oclif/core';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { rights } from '../../protocol/rights.js';
import { BaseCommand } from '../shared/base-command.js';
import { jsonFlag } from '../shared/flags.js';

/** As many as a SHA-256 has: nobody can guess it, so that a fast hash hides it. */
const tokenBytes = 32;

export default class TokenCreate extends BaseCommand {
  static override summary = 'Make a token, and its lines for the file that `serve --tokens` reads.';

  static override description =
    'The token is shown this once and kept nowhere; the file has its hash. Each right takes names of categories, or ' +
    'beginnings of names with * behind, separated by commas; * stands for all.';

  static override examples = [
    '<%= config.bin %> token create shipper --write logs,app-* >> tokens.yaml',
    '<%= config.bin %> token create prometheus --observe "*"',
  ];

  static override args = {
    name: Args.string({ description: 'who will have the token', required: true }),
  };

  static override flags = {
    write: patternsFlag('append messages'),
    read: patternsFlag('read messages'),
    ack: patternsFlag('acknowledge chunks and register groups'),
    observe: patternsFlag('see status, metrics and console; only * has an effect'),
    admin: patternsFlag('everything, also to remove groups and, with *, to change nodes'),
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TokenCreate);
    const given = rights.flatMap((right) => {
      const text = flags[right];
      return text === undefined
        ? []
        : [[right, text.split(',').map((word) => word.trim())] as const];
    });
    if (given.length === 0) {
      throw new ChukchaError(
        'invalid_option',
        `A token without rights is of no use: give it one or more of ${rights.map((right) => `--${right}`).join(', ')}, for example --write logs.`,
      );
    }
    const { parseTokens, tokenNamePattern, categoryPatternPattern } = await import(
      '../../node/token-file.js'
    );
    if (!new RegExp(tokenNamePattern).test(args.name)) {
      throw new ChukchaError(
        'invalid_option',
        `${JSON.stringify(args.name)} is no name of a token: expected 1 to 64 of A-Z a-z 0-9 _ . -`,
      );
    }
    const isPattern = new RegExp(categoryPatternPattern);
    for (const [right, patterns] of given) {
      const odd = patterns.find((pattern) => !isPattern.test(pattern));
      if (odd === undefined) continue;
      throw new ChukchaError(
        'invalid_option',
        `--${right} has ${JSON.stringify(odd)}: expected names of categories, or beginnings of names with * behind, separated by commas, for example logs,app-*.`,
      );
    }
    const token = `chukcha_${randomBytes(tokenBytes).toString('base64url')}`;
    const sha256 = createHash('sha256').update(token).digest('hex');
    const lines = [
      `  - name: ${args.name}`,
      `    sha256: ${sha256}`,
      ...given.map(([right, patterns]) => `    ${right}: ${JSON.stringify(patterns)}`),
    ];
    parseTokens(['tokens:', ...lines].join('\n'), 'of the new token');
    if (flags.json) {
      const entry = { name: args.name, sha256, ...Object.fromEntries(given) };
      this.log(JSON.stringify({ token, entry }));
      return;
    }
    this.say(`Token, shown this once: ${token}`);
    this.say('Lines for the file of --tokens, below its "tokens:":');
    for (const line of lines) this.log(line);
  }
}

function patternsFlag(what: string) {
  return Flags.string({ description: `categories in which it may ${what}` });
}
