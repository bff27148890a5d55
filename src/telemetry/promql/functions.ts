// Which functions there are, and what they take and give. What they do is in instant-functions.ts and range-functions.ts.
import type { ValueType } from './expression.ts';

export interface Signature {
  readonly args: readonly ValueType[];
  /** How many of the last arguments may be left out. */
  readonly optional?: number;
  /** The last argument may come again and again. */
  readonly variadic?: boolean;
  readonly returns: ValueType;
}

const ofMatrix: Signature = { args: ['matrix'], returns: 'vector' };
const ofVector: Signature = { args: ['vector'], returns: 'vector' };
const withBound: Signature = { args: ['vector', 'scalar'], returns: 'vector' };

export const FUNCTIONS: Readonly<Record<string, Signature>> = {
  rate: ofMatrix,
  increase: ofMatrix,
  delta: ofMatrix,
  irate: ofMatrix,
  idelta: ofMatrix,
  changes: ofMatrix,
  resets: ofMatrix,
  avg_over_time: ofMatrix,
  min_over_time: ofMatrix,
  max_over_time: ofMatrix,
  sum_over_time: ofMatrix,
  count_over_time: ofMatrix,
  last_over_time: ofMatrix,
  present_over_time: ofMatrix,
  abs: ofVector,
  ceil: ofVector,
  floor: ofVector,
  exp: ofVector,
  ln: ofVector,
  log2: ofVector,
  log10: ofVector,
  sqrt: ofVector,
  sgn: ofVector,
  timestamp: ofVector,
  sort: ofVector,
  sort_desc: ofVector,
  absent: ofVector,
  scalar: { args: ['vector'], returns: 'scalar' },
  vector: { args: ['scalar'], returns: 'vector' },
  time: { args: [], returns: 'scalar' },
  round: { ...withBound, optional: 1 },
  clamp_min: withBound,
  clamp_max: withBound,
  clamp: { args: ['vector', 'scalar', 'scalar'], returns: 'vector' },
  histogram_quantile: { args: ['scalar', 'vector'], returns: 'vector' },
  label_replace: { args: ['vector', 'string', 'string', 'string', 'string'], returns: 'vector' },
  label_join: { args: ['vector', 'string', 'string', 'string'], variadic: true, returns: 'vector' },
};
