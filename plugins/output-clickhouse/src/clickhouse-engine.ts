/** Settings of ClickHouse by their names. */
export type Settings = Readonly<Record<string, string | number>>;

export interface TableName {
  readonly database: string;
  readonly table: string;
}

/** Rows as bytes that the engine itself takes apart. */
export interface Insert {
  readonly target: TableName;
  /** The columns that values go into; all of the table when they are left out. */
  readonly columns?: readonly string[];
  readonly format: 'JSONEachRow' | 'LineAsString';
  readonly settings: Settings;
  /** Follow each other without anything between. They are read until the call settles, and not kept. */
  readonly pieces: readonly Uint8Array[];
}

/** A ClickHouse, wherever it runs. Failures are a `ServerError`, an `HttpError` or a `ConnectionError`. */
export interface ClickHouseEngine {
  /** What people call it in sentences; no secrets. */
  readonly label: string;
  /** How many inserts may be under way at a time. */
  readonly insertsMax: number;
  /** Resolves with the answer as text, in the form that the statement asks for. */
  query(statement: string, signal: AbortSignal, settings?: Settings): Promise<string>;
  /** Resolves when the rows are stored as the engine promises it; none are when it has refused them. */
  insert(insert: Insert, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
