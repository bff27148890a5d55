// How many streams a replica ends so that their proxies spread over all. The Service balances new connections only: what left with one replica does not
// come back with it. Pure.

export interface Load {
  /** Proxies that this replica serves. */
  readonly own: number;
  /** Proxies of each other replica that takes proxies. */
  readonly others: readonly number[];
  /** Whether what every other replica serves is known. */
  readonly known: boolean;
}

/** Above its share by less than this part of it, or by fewer proxies, nothing is done: a random spread is that uneven. */
const SLACK = 0.2;
const SLACK_PROXIES = 4;
/** Of the proxies that are too many, so many go each round, so that a round never overshoots. */
const ROUND_SHARE = 0.1;
const MOST_IN_ROUND = 20;

/** Streams to end in this round. One that ends may come back here: the Service chooses at random. */
export function streamsToShed({ own, others, known }: Load): number {
  if (!known || others.length === 0) return 0;
  const share = (own + others.reduce((sum, count) => sum + count, 0)) / (others.length + 1);
  const surplus = own - share;
  if (surplus < Math.max(share * SLACK, SLACK_PROXIES)) return 0;
  return Math.min(MOST_IN_ROUND, Math.max(1, Math.floor(surplus * ROUND_SHARE)));
}
