// The Kubernetes adapter: API client, supervised informers and their stores, server-side apply, status, leader election, token review, and the
// operator's base class. Owns everything that knows how the Kubernetes API behaves; knows nothing of meshes. Imports src/kernel and src/runtime.
export { type ApiClient, type ApiClientOptions, type ApiRequest, createApiClient, type Query } from './api-client.ts';
export { ApiError, isConflict, isExpired, isNotFound } from './api-error.ts';
export { type Condition, type ConditionPlan, planStatus, setCondition, type StatusPlan } from './conditions.ts';
export {
  createInformer,
  type Informer,
  type InformerHealth,
  type InformerOptions,
  type InformerState,
} from './informer.ts';
export { createLeadership, type Leadership, type LeaseOptions } from './lease.ts';
export { OperatorBase, type OperatorBaseOptions, type WatchOptions } from './operator-base.ts';
export type { PolicyRule } from './policy-rule.ts';
export { identityOf, isRecord, type RawMeta, type RawObject, wholeObject } from './raw-object.ts';
export { apiVersionOf, type ResourceType, resourcePath } from './resource-type.ts';
export { createStatusWriter, type StatusOutcome, type StatusWrite, type StatusWriter } from './status.ts';
export { type Change, createStore, type Store, type WritableStore } from './store.ts';
export { createTokenReviewer, type PodIdentity, type TokenReviewer } from './token-review.ts';
export { openGate, type WriteGate } from './write-gate.ts';
export { APPLIED_HASH, covers, createWriter, type ObjectRef, type WriteOutcome, type Writer } from './writer.ts';
