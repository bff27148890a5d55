/**
 * L1: our kinds. One file per kind holds the one schema that is its TypeScript type, its validator, its CRD and its reference page. Imports kernel.
 */
import { alertProvider } from './alert-provider.ts';
import { canary } from './canary.ts';
import type { KindDefinition } from './definition.ts';
import { httpRouteGroup } from './http-route-group.ts';
import { meshConfig } from './mesh-config.ts';
import { metricTemplate } from './metric-template.ts';
import { serverAuthorization } from './server-authorization.ts';
import { server } from './server.ts';
import { trafficPolicy } from './traffic-policy.ts';
import { trafficSplit } from './traffic-split.ts';

export const KINDS: readonly KindDefinition[] = [
  meshConfig,
  trafficPolicy,
  trafficSplit,
  httpRouteGroup,
  server,
  serverAuthorization,
  canary,
  metricTemplate,
  alertProvider,
];

export type { AlertProviderSpec } from './alert-provider.ts';
export { CANARY_PHASES, type CanarySpec, type CanaryStatus } from './canary.ts';
export { CANARY_SAMPLES } from './canary-samples.ts';
export { FOREIGN_SERVICE_FIELDS } from './canary-service.ts';
export { crdOf, schemaOf } from './crd.ts';
export type { KindDefinition, KindVersion, PrinterColumn, SpecOf } from './definition.ts';
export type { HTTPRouteGroupSpec } from './http-route-group.ts';
export type { MeshConfigSpec } from './mesh-config.ts';
export type { MetricTemplateSpec } from './metric-template.ts';
export { MAX_WEIGHT } from './schema.ts';
export type { ServerAuthorizationSpec } from './server-authorization.ts';
export { INBOUND_POLICIES, type InboundPolicy, type ServerSpec } from './server.ts';
export type { TrafficPolicySpec } from './traffic-policy.ts';
export { GRPC_CODES } from './traffic-policy-parts.ts';
export type { TrafficSplitSpec } from './traffic-split.ts';
export { type SchemaFault, validateSpec } from './validate.ts';
export {
  alertProvider,
  canary,
  httpRouteGroup,
  meshConfig,
  metricTemplate,
  server,
  serverAuthorization,
  trafficPolicy,
  trafficSplit,
};
