/** What the process of an engine says first. */
export interface EngineStart {
  readonly kind: 'open' | 'missing' | 'refused';
  readonly message?: string;
}

/** What it is asked for. */
export type EngineCall =
  | {
      readonly kind: 'query';
      readonly id: number;
      readonly statement: string;
      readonly format: string;
    }
  | { readonly kind: 'close' };

/** What came of a query. */
export interface EngineAnswer {
  readonly id: number;
  readonly bytes?: Uint8Array;
  readonly error?: string;
}
