/** A part of PromQL: read, checked, and evaluated over samples that somebody else fetches. Pure. */
export { type Answer, answerAt, answerRange, type Answered, type Points } from './engine.ts';
export { type Expression, type Matcher, selectorsOf } from './expression.ts';
export type { LabelSet } from './labels.ts';
export { durationMs } from './literals.ts';
export { parseQuery, parseSelector } from './parse.ts';
export { badData, QueryError } from './query-error.ts';
