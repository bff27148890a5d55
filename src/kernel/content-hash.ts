import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/** The first 16 hex digits of the SHA-256 of the canonical JSON: equal content, equal hash. Names versions; it guards nothing. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16);
}
