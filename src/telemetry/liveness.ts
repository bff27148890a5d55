// Alive means that every loop still turns. An API server that is away is no reason to restart: a restart would not bring it back, and would cut
// the proxies' streams. A loop that neither succeeds nor fails any more is one.
import type { Clock } from '../runtime/index.ts';

export interface LoopHealth {
  readonly name: string;
  /** When the loop last began or ended anything, failures included. */
  readonly lastActivityMs: number;
}

export interface Liveness {
  readonly alive: boolean;
  /** One line per loop that hangs. */
  readonly hanging: readonly string[];
}

export function judgeLiveness(loops: readonly LoopHealth[], clock: Clock, limitMs: number): Liveness {
  const nowMs = clock.nowMs();
  const hanging = loops
    .filter(loop => nowMs - loop.lastActivityMs > limitMs)
    .map(loop => `${loop.name}: nothing for ${Math.round((nowMs - loop.lastActivityMs) / 1000)} s`);
  return { alive: hanging.length === 0, hanging };
}
