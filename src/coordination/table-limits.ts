/** Keys are paths, as `members/node1`; the names in them have up to 128 characters. */
const keyPattern = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/;
const keyLengthMax = 1_024;

/** etcd takes requests up to 1.5 MiB (`--max-request-bytes`); a value is the larger part of one. */
const valueBytesMax = 1024 * 1024;

const clusterPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** Throws a RangeError for a text that is not the key of an entry. */
export function checkKey(key: string): void {
  if (key.length <= keyLengthMax && keyPattern.test(key)) return;
  throw new RangeError(
    `The key ${JSON.stringify(key)} is not a path of A-Z a-z 0-9 _ - / with ${keyLengthMax} characters at most.`,
  );
}

/** Throws a RangeError for a text that is too long for the value of an entry. */
export function checkValue(key: string, value: string): void {
  const byteCount = Buffer.byteLength(value);
  if (byteCount <= valueBytesMax) return;
  throw new RangeError(
    `The value of ${key} has ${byteCount} bytes, of ${valueBytesMax} that are allowed at most.`,
  );
}

/** Throws a RangeError for a text that is not the name of a cluster. */
export function checkCluster(cluster: string): void {
  if (clusterPattern.test(cluster)) return;
  throw new RangeError(
    `The cluster name ${JSON.stringify(cluster)} is not made of 1 to 64 of A-Z a-z 0-9 _ -`,
  );
}
