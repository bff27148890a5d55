/**
 * L2: the immutable domain. Snapshot (what compile reads), resources (what proxies are told), views, conditions, and the ports through which the
 * parts of the operator meet. Imports kernel and api.
 */
export type { Condition, ConditionPlan, StatusPlan } from './condition.ts';
export { DECODERS, type Decoder, snapshotOf } from './decode/index.ts';
export { countHoldings, SILENT_AFTER_MS } from './holdings.ts';
export { WATCHED_KINDS, type WatchedKind } from './kinds.ts';
export type { LabelExpression, LabelSelector, Labels, ObjectMeta } from './meta.ts';
export { createOriginIndex } from './origin-index.ts';
export type * from './ports.ts';
export type * from './report.ts';
export type * from './resources.ts';
export { selectorMatches } from './selector.ts';
export type * from './snapshot.ts';
export { isMeshed, isRunning, unmeshedPods } from './unmeshed.ts';
export { type View, type Who, viewKey } from './view.ts';
