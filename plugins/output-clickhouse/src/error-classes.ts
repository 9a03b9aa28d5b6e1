/** What the host does about an error, as `PluginErrorKind` has it. */
type ErrorClass = 'transient' | 'operator' | 'data';

export interface ErrorMeaning {
  /** As ClickHouse calls it. */
  readonly name: string;
  readonly kind: ErrorClass;
}

/**
 * The codes of ClickHouse that an insert can meet. The names are compared with those of a real engine in the tests.
 *
 * `transient` are those that the official connector for Kafka tries again, and what else says that a server, a replica or
 * its keeper is busy, starting or cut off. `operator` waits for a person. `data` are the ways in which values cannot be
 * read, converted or accepted; nothing of the insert is stored then. A code that is not here is transient: trying again
 * keeps the messages.
 */
export const errorMeanings: ReadonlyMap<number, ErrorMeaning> = new Map<number, ErrorMeaning>([
  ...meanings('transient', {
    3: 'UNEXPECTED_END_OF_FILE',
    159: 'TIMEOUT_EXCEEDED',
    160: 'TOO_SLOW',
    173: 'CANNOT_ALLOCATE_MEMORY',
    201: 'QUOTA_EXCEEDED',
    202: 'TOO_MANY_SIMULTANEOUS_QUERIES',
    203: 'NO_FREE_CONNECTION',
    209: 'SOCKET_TIMEOUT',
    210: 'NETWORK_ERROR',
    225: 'NO_ZOOKEEPER',
    236: 'ABORTED',
    241: 'MEMORY_LIMIT_EXCEEDED',
    242: 'TABLE_IS_READ_ONLY',
    252: 'TOO_MANY_PARTS',
    254: 'NO_ACTIVE_REPLICAS',
    265: 'NO_AVAILABLE_REPLICA',
    279: 'ALL_CONNECTION_TRIES_FAILED',
    285: 'TOO_FEW_LIVE_REPLICAS',
    286: 'UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE',
    290: 'LIMIT_EXCEEDED',
    319: 'UNKNOWN_STATUS_OF_INSERT',
    394: 'QUERY_WAS_CANCELLED',
    425: 'SYSTEM_ERROR',
    439: 'CANNOT_SCHEDULE_TASK',
    473: 'DEADLOCK_AVOIDED',
    499: 'S3_ERROR',
    519: 'NO_REMOTE_SHARD_AVAILABLE',
    692: 'TOO_MANY_MUTATIONS',
    722: 'ASYNC_LOAD_WAIT_FAILED',
    735: 'QUERY_WAS_CANCELLED_BY_CLIENT',
    745: 'SERVER_OVERLOADED',
    999: 'KEEPER_EXCEPTION',
  }),
  ...meanings('operator', {
    16: 'NO_SUCH_COLUMN_IN_TABLE',
    20: 'NUMBER_OF_COLUMNS_DOESNT_MATCH',
    36: 'BAD_ARGUMENTS',
    47: 'UNKNOWN_IDENTIFIER',
    48: 'NOT_IMPLEMENTED',
    60: 'UNKNOWN_TABLE',
    62: 'SYNTAX_ERROR',
    73: 'UNKNOWN_FORMAT',
    76: 'CANNOT_OPEN_FILE',
    81: 'UNKNOWN_DATABASE',
    115: 'UNKNOWN_SETTING',
    164: 'READONLY',
    192: 'UNKNOWN_USER',
    193: 'WRONG_PASSWORD',
    194: 'REQUIRED_PASSWORD',
    243: 'NOT_ENOUGH_SPACE',
    291: 'DATABASE_ACCESS_DENIED',
    344: 'SUPPORT_IS_DISABLED',
    452: 'SETTING_CONSTRAINT_VIOLATION',
    497: 'ACCESS_DENIED',
    516: 'AUTHENTICATION_FAILED',
    620: 'QUERY_NOT_ALLOWED',
  }),
  ...meanings('data', {
    6: 'CANNOT_PARSE_TEXT',
    25: 'CANNOT_PARSE_ESCAPE_SEQUENCE',
    26: 'CANNOT_PARSE_QUOTED_STRING',
    27: 'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
    32: 'ATTEMPT_TO_READ_AFTER_EOF',
    33: 'CANNOT_READ_ALL_DATA',
    38: 'CANNOT_PARSE_DATE',
    41: 'CANNOT_PARSE_DATETIME',
    53: 'TYPE_MISMATCH',
    69: 'ARGUMENT_OUT_OF_BOUND',
    70: 'CANNOT_CONVERT_TYPE',
    72: 'CANNOT_PARSE_NUMBER',
    117: 'INCORRECT_DATA',
    130: 'CANNOT_READ_ARRAY_FROM_TEXT',
    131: 'TOO_LARGE_STRING_SIZE',
    190: 'SIZES_OF_ARRAYS_DONT_MATCH',
    321: 'VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE',
    349: 'CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN',
    366: 'SIZES_OF_NESTED_COLUMNS_ARE_INCONSISTENT',
    376: 'CANNOT_PARSE_UUID',
    395: 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO',
    407: 'DECIMAL_OVERFLOW',
    441: 'CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING',
    467: 'CANNOT_PARSE_BOOL',
    469: 'VIOLATED_CONSTRAINT',
    675: 'CANNOT_PARSE_IPV4',
    676: 'CANNOT_PARSE_IPV6',
    691: 'UNKNOWN_ELEMENT_OF_ENUM',
  }),
]);

/** Codes by which a server refuses who asks, whatever is asked. */
export const credentialCodes: ReadonlySet<number> = new Set([192, 193, 194, 516]);

function* meanings(
  kind: ErrorClass,
  names: Readonly<Record<number, string>>,
): Iterable<[number, ErrorMeaning]> {
  for (const [code, name] of Object.entries(names)) yield [Number(code), { name, kind }];
}
