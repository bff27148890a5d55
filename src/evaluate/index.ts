/**
 * L3, PURE: the reference semantics of what compile renders: which backends serve a request, which policy carries it, and whether a port lets it in. The proxy decides the same,
 * held to it by `conformance/*.yaml`. Imports kernel and model.
 */
export { type Attempt, authorize, type Decision } from './authorize.ts';

export { selectPolicy } from './policy.ts';
export type { Client, ClientTls, RequestHead } from './request.ts';
export { type Choice, type Routed, selectRoute } from './route.ts';
