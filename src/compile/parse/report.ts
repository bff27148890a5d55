import type { KindDefinition, SpecOf } from '../../api/index.ts';
import { validateSpec } from '../../api/index.ts';
import type { Problem } from '../../kernel/index.ts';
import type { CustomObject } from '../../model/index.ts';
import type { Reason } from '../reasons.ts';

/** What came of one object: its meaning, where it has one, and everything that is wrong with it. */
export interface Parsed<T> {
  readonly object: CustomObject;
  /** Undefined when an error leaves nothing to go by. */
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
}

/** Gathers the problems of one object. */
export class Report {
  readonly object: CustomObject;
  readonly problems: Problem[] = [];

  constructor(object: CustomObject) {
    this.object = object;
  }

  error(path: string, reason: Reason, message: string): void {
    this.problems.push({ object: this.object.key, path, reason, message, severity: 'error' });
  }

  warning(path: string, reason: Reason, message: string): void {
    this.problems.push({ object: this.object.key, path, reason, message, severity: 'warning' });
  }

  get failed(): boolean {
    return this.problems.some(problem => problem.severity === 'error');
  }

  /** The spec with its defaults, when the schema allows it. */
  spec<D extends KindDefinition>(definition: D): SpecOf<D> | undefined {
    const validated = validateSpec(definition, this.object.spec);
    if (validated.ok) return validated.value as SpecOf<D>;
    for (const { path, message } of validated.error) this.error(path, 'Invalid', `${path} ${message}.`);
    return undefined;
  }

  parsed<T>(value: T | undefined): Parsed<T> {
    return { object: this.object, value, problems: this.problems };
  }
}

/**
 * Objects never change, so what was parsed once stays true as long as the object lives. This makes a compile after one change cost what that change
 * costs, and can be seen from outside in nothing else.
 */
export function memoised<T>(parse: (object: CustomObject) => Parsed<T>): (object: CustomObject) => Parsed<T> {
  const known = new WeakMap<CustomObject, Parsed<T>>();
  return object => {
    const before = known.get(object);
    if (before !== undefined) return before;
    const parsed = parse(object);
    known.set(object, parsed);
    return parsed;
  };
}
