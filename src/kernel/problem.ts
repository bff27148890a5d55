import type { ObjectKey } from './object-key.ts';

/**
 * What is wrong with one object: the one thing that admission, conditions, CLI and dashboard all show. An `error` means that the object, or
 * the part named by `path`, has no effect; a `warning` means that it works, though perhaps not as meant.
 */
export interface Problem {
  readonly object: ObjectKey;
  /** Field path such as `spec.backends[1].weight`; empty when the object as a whole is meant. */
  readonly path: string;
  /** CamelCase, from the closed list in `src/compile/reasons.ts`. */
  readonly reason: string;
  /** One sentence with the value that was found and what to do. */
  readonly message: string;
  readonly severity: 'error' | 'warning';
}
