/** A group that is never registered: all chunks of the node are listed for it, and nothing waits for it. */
export const observerGroup = 'chukcha-tail';
