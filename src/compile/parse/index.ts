/** Stage 1: one object at a time, from what the API holds to what it means, or why it means nothing. Depends on nothing but the object. */
export { type RouteGroup, parseHttpRouteGroup } from './http-route-group.ts';
export { type Mesh, parseMeshConfig } from './mesh-config.ts';
export type { Parsed } from './report.ts';
export { type Grant, type GrantClients, parseServerAuthorization } from './server-authorization.ts';
export { type ServerRule, parseServer } from './server.ts';
export { parseServiceAnnotations } from './service-annotations.ts';
export { parseTrafficPolicy, type Traffic } from './traffic-policy.ts';
export { parseTrafficSplit, type Split } from './traffic-split.ts';
