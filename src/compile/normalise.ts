import { MAX_WEIGHT } from '../api/index.ts';
import { parseQuantity, wholeNumbers } from '../kernel/index.ts';

/** One operation of RFC 6902. */
export interface JsonPatch {
  readonly op: 'replace';
  readonly path: string;
  readonly value: number;
}

/**
 * Turns the weights of a TrafficSplit into whole numbers in the same proportion, so that typed clients of every version can read what any of them
 * wrote: one fraction scales the whole object. No operation when nothing is to be done, or when a weight cannot be read or would be too great:
 * admission then refuses the object in the words in which it was written.
 */
export function normaliseTrafficSplit(object: unknown): readonly JsonPatch[] {
  const backends = (object as { readonly spec?: { readonly backends?: unknown } } | null)?.spec?.backends;
  if (!Array.isArray(backends)) return [];
  const weights = backends.map((backend: unknown) => (backend as { readonly weight?: unknown } | null)?.weight);
  const quantities = weights.map(weight =>
    typeof weight === 'number' || typeof weight === 'string' ? parseQuantity(weight) : undefined,
  );
  if (quantities.includes(undefined)) return [];
  const whole = wholeNumbers(quantities.filter(quantity => quantity !== undefined));
  if (whole.some(weight => weight > MAX_WEIGHT)) return [];
  return whole
    .map(Number)
    .flatMap((value, index) =>
      weights[index] === value ? [] : [{ op: 'replace', path: `/spec/backends/${index}/weight`, value }],
    );
}
