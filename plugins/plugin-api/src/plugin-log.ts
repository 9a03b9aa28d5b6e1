/** Takes a constant sentence and the values that vary. A plugin MUST NOT log per message. */
export interface PluginLog {
  debug(
    sentence: string,
    fields?: Readonly<Record<string, string | number | boolean | undefined>>,
  ): void;
  info(
    sentence: string,
    fields?: Readonly<Record<string, string | number | boolean | undefined>>,
  ): void;
  warn(
    sentence: string,
    fields?: Readonly<Record<string, string | number | boolean | undefined>>,
  ): void;
  error(
    sentence: string,
    fields?: Readonly<Record<string, string | number | boolean | undefined>>,
  ): void;
}
