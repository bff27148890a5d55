import { compareText } from './compare.ts';

/**
 * JSON with sorted keys and without undefined members: equal values give equal text. Covers what JSON can say; bigint, functions and cycles
 * are bugs of the caller and throw.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  const entries = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([left], [right]) => compareText(left, right));
  // A null prototype, so that a key `__proto__` is a key like any other.
  const result = Object.create(null) as Record<string, unknown>;
  for (const [key, member] of entries) result[key] = sorted(member);
  return result;
}
