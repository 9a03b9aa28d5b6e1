/** Which ClickHouse it is, as `26.7.2.1`. */
export class ServerVersion {
  readonly text: string;
  readonly #major: number;
  readonly #minor: number;

  private constructor(text: string, major: number, minor: number) {
    this.text = text;
    this.#major = major;
    this.#minor = minor;
  }

  /** Undefined for what no ClickHouse says. */
  static parse(text: string): ServerVersion | undefined {
    const found = /^(\d+)\.(\d+)(\.\S+)?$/.exec(text.trim());
    if (found === null) return undefined;
    return new ServerVersion(text.trim(), Number(found[1]), Number(found[2]));
  }

  isAtLeast(major: number, minor: number): boolean {
    return this.#major > major || (this.#major === major && this.#minor >= minor);
  }
}
