/** What has gone into a category and out of it on this node since its start, in bytes. */
export interface CategoryTraffic {
  /** What clients have written here; what was a duplicate is not among it. */
  writtenBytes: number;
  /** What came as copies of the chunks of other nodes. */
  copiedBytes: number;
  /** What was sent to readers; the same message counts for each of them. */
  readBytes: number;
}
