/**
 * L1: our kinds. One file per kind holds the one schema that is its TypeScript type, its validator, its CRD and its reference page. Imports kernel.
 */
import type { KindDefinition } from './definition.ts';
import { httpRouteGroup } from './http-route-group.ts';
import { meshConfig } from './mesh-config.ts';
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
];

export { crdOf, schemaOf } from './crd.ts';
export type { KindDefinition, KindVersion, PrinterColumn, SpecOf } from './definition.ts';
export type { HTTPRouteGroupSpec } from './http-route-group.ts';
export type { MeshConfigSpec } from './mesh-config.ts';
export { MAX_WEIGHT } from './schema.ts';
export type { ServerAuthorizationSpec } from './server-authorization.ts';
export { INBOUND_POLICIES, type InboundPolicy, type ServerSpec } from './server.ts';
export type { TrafficPolicySpec } from './traffic-policy.ts';
export { GRPC_CODES } from './traffic-policy-parts.ts';
export type { TrafficSplitSpec } from './traffic-split.ts';
export { type SchemaFault, validateSpec } from './validate.ts';
export { httpRouteGroup, meshConfig, server, serverAuthorization, trafficPolicy, trafficSplit };
