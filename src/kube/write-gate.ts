// Who may write to the cluster. Every replica watches and serves; only the holder of the lease writes.

export interface WriteGate {
  /** Asked immediately before each write. */
  mayWrite(): boolean;
}

/** For one-replica tools and tests. */
export const openGate: WriteGate = { mayWrite: () => true };
