/**
 * L4: the operator API, HTTPS and JSON on port 8090: what CLI and dashboard read; and the query API on port 8091 (query/), by which others read golden
 * signals as from Prometheus. Owns the paths, who may ask (TokenReview or client certificate,
 * then SubjectAccessReview; docs/adr/0002-cli-authentication.md) and how answers are put together; their types are in src/contract. Changes nothing.
 * Imports kernel, runtime, kube, model, telemetry and contract.
 */
export { createClientCa } from './client-ca.ts';
export { fetchMetrics } from './metrics-fetcher.ts';
export type {
  Access,
  Authenticator,
  Authorizer,
  Findings,
  MetricsFetcher,
  OperatorApiPorts,
  ServingCertificate,
  Source,
  User,
} from './ports.ts';
export { createCallers } from './query/callers.ts';
export { createQueryApi } from './query/server.ts';
export { createReviews } from './reviews.ts';
export { createOperatorApi, type OperatorApi, type OperatorApiOptions } from './server.ts';
