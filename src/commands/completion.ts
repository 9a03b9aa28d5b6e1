import { Args } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';

export default class Completion extends BaseCommand {
  static override summary = 'Print a script by which a shell completes commands and flags.';

  static override description =
    'The script knows the commands, their flags, and the inputs and outputs that are installed now: print it again after a ' +
    'plugin was added.';

  static override examples = [
    'source <(<%= config.bin %> completion bash)',
    '<%= config.bin %> completion bash > ~/.local/share/bash-completion/completions/chukcha',
    '<%= config.bin %> completion zsh > "$' + '{fpath[1]}/_chukcha"',
    '<%= config.bin %> completion fish > ~/.config/fish/completions/chukcha.fish',
  ];

  static override args = {
    shell: Args.string({
      description: 'for which shell',
      required: true,
      options: ['bash', 'zsh', 'fish'],
    }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(Completion);
    const { collectWords } = await import('./shared/completion/completion-words.js');
    const { writeBash, writeFish, writeZsh } = await import('./shared/completion/shell-scripts.js');
    const { findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const words = collectWords(this.config.commands, registry);
    const write = args.shell === 'bash' ? writeBash : args.shell === 'zsh' ? writeZsh : writeFish;
    this.log(write(words));
  }
}
