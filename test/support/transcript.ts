import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/** A command of a document, and what it says there that comes out. */
export interface TranscriptStep {
  readonly command: string;
  /** The lines that are shown; `...` stands for any text in a line, and alone for any lines. */
  readonly expected: readonly string[];
  /** From `# ends with 2` at the end of the command. */
  readonly exit: number;
  /** The line of the document. */
  readonly line: number;
}

/** What a step did. */
export interface StepResult {
  readonly step: TranscriptStep;
  readonly exit: number;
  readonly output: readonly string[];
}

/** How long a command may take: npm and the start of three nodes on a busy machine are the longest. */
const stepMsMax = 90_000;

/** The steps of the blocks that are marked as `console`: `$ ` begins a command, `> ` goes on with it. */
export function readTranscript(markdown: string): TranscriptStep[] {
  const steps: { command: string; expected: string[]; exit: number; line: number }[] = [];
  let isInside = false;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (line.startsWith('```')) isInside = !isInside && line === '```console';
    else if (!isInside) continue;
    else if (line.startsWith('$ ')) {
      const [, command = '', exit = '0'] = /^\$ (.*?)(?:\s+# ends with (\d+))?$/.exec(line) ?? [];
      steps.push({ command, expected: [], exit: Number(exit), line: index + 1 });
    } else {
      const step = steps.at(-1);
      if (step === undefined) throw new Error(`Line ${index + 1} shows output of no command.`);
      if (line.startsWith('> ')) step.command += `\n${line.slice(2)}`;
      else step.expected.push(line);
    }
  }
  return steps;
}

/** Whether what came out is what is shown. */
export function isShown(expected: readonly string[], output: readonly string[]): boolean {
  const pattern = expected.map((line) =>
    line === '...'
      ? '(?:.*\\n)*?'
      : `${line.trimEnd().split('...').map(escapeRegExp).join('.*')}\\n`,
  );
  return new RegExp(`^${pattern.join('')}$`).test(output.map((line) => `${line}\n`).join(''));
}

/** Runs the steps in one shell, as a reader of the document would, until one is not as shown. */
export async function runTranscript(
  steps: readonly TranscriptStep[],
  options: { readonly directory: string; readonly env: Readonly<Record<string, string>> },
): Promise<StepResult[]> {
  const shell = spawn('bash', ['--norc'], {
    cwd: options.directory,
    env: options.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that what the document leaves running ends with it.
    detached: true,
  });
  const mark = randomBytes(8).toString('hex');
  let text = '';
  let wake: () => void = () => undefined;
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (piece: Buffer) => {
      text += piece.toString();
      wake();
    });
  }
  const results: StepResult[] = [];
  try {
    shell.stdin.write('exec 2>&1\n');
    for (const step of steps) {
      text = '';
      // A command that reads standard input must not eat the next one.
      const command = `{ ${step.command}\n} < /dev/null`;
      shell.stdin.write(`${command}\nprintf '%s %s\\n' ${mark} $?\n`);
      const ended = new RegExp(`^${mark} (\\d+)\\n`, 'm');
      const deadline = AbortSignal.timeout(stepMsMax);
      while (!ended.test(text) && !deadline.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          deadline.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      const exit = Number(ended.exec(text)?.[1] ?? Number.NaN);
      const output = text.split(mark)[0]?.split('\n').slice(0, -1) ?? [];
      const result = { step, exit, output: output.map((line) => line.trimEnd()) };
      results.push(result);
      if (exit !== step.exit || !isShown(step.expected, result.output)) break;
    }
  } finally {
    if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
  }
  return results;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
