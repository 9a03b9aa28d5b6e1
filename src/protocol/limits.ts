/**
 * Every number that is part of the protocol or guards a resource, with its unit in its name.
 * Sizes are in bytes and include the newline that ends a message.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

/** The largest message, with its `\n`. A reader's buffer of this size always holds a whole message. */
export const messageBytesMax = 1 * MIB;

/** The largest batch of one write, unless the node is started with another limit. */
export const batchBytesMaxDefault = 4 * MIB;

/**
 * The most bytes of bodies that a node holds in memory at a time, over all connections: 64 full batches.
 */
export const inFlightBytesMaxDefault = 256 * MIB;

/** A chunk that has this many bytes before a write is sealed, and the write goes to a new one. */
export const chunkBytesMaxDefault = 20 * MIB;

/** How long a chunk stays open at most, so that what was written can be acknowledged and freed. */
export const rotateIntervalMsDefault = 10 * MINUTE_MS;

/** How long a write that did not ask for more may stay in the memory of the machine before it is on disk. */
export const flushIntervalMsDefault = 1 * SECOND_MS;

/** How often all chunks are compared with their checksums. */
export const scrubIntervalMsDefault = 24 * 60 * MINUTE_MS;

/** How long a write waits for the peers that it asks for: longer than a peer takes to come back after a kill. */
export const replicationTimeoutMsDefault = 10 * SECOND_MS;

/** After what time without a word a node counts as lost: longer than any repair that is likely to succeed. */
export const nodeLostAfterMsDefault = 24 * 60 * MINUTE_MS;

/** `[A-Za-z0-9_-]{1,128}`; file systems allow names of 255 bytes, and `_dlq` is appended to some. */
export const categoryNameLengthMax = 128;

/** `[A-Za-z0-9_-]{1,64}`, for nodes, groups and producers. */
export const nodeNameLengthMax = 64;

/** Nine digits, so that names sort as their indexes do. */
export const chunkIndexMax = 999_999_999;

/** What `/read` answers with when `max_size` is not given, and the most that it takes for it. */
export const readBytesDefault = 1 * MIB;
export const readBytesMax = 16 * MIB;

/** The longest time that a long poll is held; below the 60 s after which common proxies give up. */
export const longPollMsMax = 55 * SECOND_MS;

/** How long a client may take to send a request's head, and a whole request. */
export const requestHeadMsMax = 30 * SECOND_MS;
export const requestMsMax = 5 * MINUTE_MS;

/** How long an idle keep-alive connection is held; above the 60 s that clients and proxies keep one. */
export const keepAliveMs = 75 * SECOND_MS;

/**
 * How long nothing may move on a connection before it is cut: more than the longest held call, so that only
 * a client that does not read or send any more meets it.
 */
export const socketIdleMsMax = 2 * MINUTE_MS;

/**
 * How often each side of a framed stream says at the least that it is there, and after how long a silence the
 * other side ends the stream.
 */
export const streamHeartbeatMs = 10 * SECOND_MS;
export const streamIdleMsMax = 60 * SECOND_MS;

/** How many batches, and how many acknowledgements, of a stream may be unanswered before no more are read. */
export const streamBatchCountMax = 256;
export const streamAckCountMax = 64;

/** The most bytes of one `data` frame, unless a single message is larger. */
export const streamDataBytesMax = 256 * KIB;

/**
 * With how many categories a node takes no new one from its clients: each takes 11 KB of memory, so these take 180 MB. Those
 * that its directory has, and those of its peers, are opened whatever their number.
 */
export const categoryCountMax = 16_384;

/** How many groups a category may have: each acknowledgement writes anew what all of them have acknowledged. */
export const groupCountMax = 1_000;

/** How many names of groups a cluster remembers of a category, also of those that were removed: it must not take them for new. */
export const groupNameCountMax = 10_000;

/** The upper bound of open connections of a node. */
export const connectionCountMax = 262_144;

/** How long a stopping node waits for the requests that are under way. */
export const drainMsMax = 10 * SECOND_MS;

/**
 * How many bytes a commit gathers from waiting writes. A commit of four full batches is written in
 * about 4 ms here; more would only add to the latency of those that wait.
 */
export const commitBytesMax = 16 * MIB;

/** `IOV_MAX` of Linux: the most buffers that one `writev` takes. */
export const commitBufferCountMax = 1024;
