// The Kubernetes adapter: API client, supervised informers and their stores, server-side apply, status, leader election, token review, and the
// operator's base class. Owns everything that knows how the Kubernetes API behaves; knows nothing of meshes. Imports src/kernel and src/runtime.
export { type ApiClient, type ApiClientOptions, type ApiRequest, createApiClient, type Query } from './api-client.ts';
export { ApiError, isNotFound } from './api-error.ts';
export type { Condition, ConditionPlan, StatusPlan } from './conditions.ts';
export { createEventRecorder, type EventRecorder, type EventSubject, type EventText } from './events.ts';
export type { Informer, InformerHealth, InformerOptions, InformerState } from './informer.ts';
export { createLeadership, type Leadership, type LeaseOptions } from './lease.ts';
export { OperatorBase, type OperatorBaseOptions, type WatchOptions } from './operator-base.ts';
export type { PolicyRule } from './policy-rule.ts';
export { identityOf, isRecord, type RawMeta, type RawObject, wholeObject } from './raw-object.ts';
export { CERTIFICATES, SECRETS } from './known-types.ts';
export { apiVersionOf, type ResourceType, resourcePath } from './resource-type.ts';
export { createStatusWriter, type StatusOutcome, type StatusWrite, type StatusWriter } from './status.ts';
export type { Change, Store } from './store.ts';
export { mergedStore } from './merged-store.ts';
export { createTokenReviewer, type PodIdentity, type TokenReviewer } from './token-review.ts';
export type { WriteGate } from './write-gate.ts';
export { createWriter, type ObjectRef, type WriteOutcome, type Writer } from './writer.ts';
