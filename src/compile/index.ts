/**
 * L3, PURE: from the snapshot to what each proxy is told and what each object's status says. Four stages: parse (one object) -> resolve (references,
 * precedence) -> plan -> render (one resource for one asker). Reads no clock, no store, no environment. Imports kernel, api, model.
 */
export { compile, type Compiled } from './compile.ts';
export { type JsonPatch, normaliseTrafficSplit } from './normalise.ts';
export type { CompileOptions } from './options.ts';
export { type Plan, whoIs } from './plan/index.ts';
export type { Mesh } from './parse/index.ts';
export { type Reason, REASONS } from './reasons.ts';
export { render } from './render/index.ts';
export { type Changes, changesBetween } from './render/changes.ts';
export { type Rendered, renderAgain } from './render/inputs.ts';
export { scopeOf } from './render/scope.ts';
export { conditionsOf, programmed, ready, setCondition } from './status.ts';
export { problemText, validateObject, type ValidationContext } from './validate.ts';
