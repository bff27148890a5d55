/** Middle value; the mean of the middle two for an even count. Throws on an empty list: no figure without samples. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no samples to take a median of');
  const sorted = values.toSorted((left, right) => left - right);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** One reading of one subject in one round; undefined readings were dropped and are counted by the caller. */
export type Rounds = ReadonlyMap<string, readonly (number | undefined)[]>;

export interface Summary {
  /** Median of each subject's rounds. */
  readonly values: Readonly<Record<string, number>>;
  /** Median over rounds of `of / subject` within the same round: never across rounds, because the machine's speed drifts. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
  readonly rounds: number;
  readonly dropped: number;
}

/** Summarises a metric. `of` is the subject whose ratio to each of the others is of interest. */
export function summarise(rounds: Rounds, of: string): Summary {
  const values: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const ranges: Record<string, readonly [number, number]> = {};
  const own = rounds.get(of) ?? [];
  let dropped = 0;
  let count = 0;
  for (const [subject, readings] of rounds) {
    const good = readings.filter(reading => reading !== undefined);
    dropped += readings.length - good.length;
    count = Math.max(count, readings.length);
    if (good.length === 0) continue;
    values[subject] = median(good);
    ranges[subject] = [Math.min(...good), Math.max(...good)];
    if (subject === of) continue;
    const pairs = readings.flatMap((reading, round) => {
      const mine = own[round];
      return reading === undefined || mine === undefined || reading === 0 ? [] : [mine / reading];
    });
    if (pairs.length > 0) ratios[subject] = median(pairs);
  }
  return { values, ratios, ranges, rounds: count, dropped };
}
