// Exponential backoff with full jitter: the delay is drawn evenly from [0, min(max, base * 2^attempt)].
// Full jitter spreads a herd of clients better than any fixed share of randomness.

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Lower bound of every delay; keeps a draw near 0 from becoming a busy loop. Default 0. */
  readonly minMs?: number;
  /** Even in [0, 1). */
  readonly random: () => number;
}

export interface Backoff {
  /** The delay before the next attempt; each call counts as one more failure. */
  nextMs(): number;
  /** Call after a success. */
  reset(): void;
}

/** Delay after `attempt` earlier failures (0 for the first). Whole milliseconds. */
export function fullJitterMs(attempt: number, options: BackoffOptions): number {
  const { baseMs, maxMs, minMs = 0, random } = options;
  // 2^30 is far past any sensible maximum and keeps the product finite.
  const ceilingMs = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.max(minMs, Math.floor(random() * (ceilingMs + 1)));
}

export function createBackoff(options: BackoffOptions): Backoff {
  const { baseMs, maxMs, minMs = 0 } = options;
  if (!(baseMs > 0 && maxMs >= baseMs && minMs >= 0 && minMs <= maxMs)) {
    throw new RangeError(`backoff needs 0 < base <= max and 0 <= min <= max, got ${baseMs}, ${maxMs}, ${minMs}`);
  }
  let failures = 0;
  return {
    nextMs: () => fullJitterMs(failures++, options),
    reset: () => {
      failures = 0;
    },
  };
}
