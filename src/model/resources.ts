import type { ObjectKey } from '../kernel/index.ts';

// Name for name what proto/weft/config/v1/config.proto says; that file documents the fields. Enum values are lower-case words here, a oneof is
// a union told apart by `kind`. Lists whose order means nothing are sorted, so that equal content has an equal hash.

export interface Resource {
  /** `workload`, `trust`, `outbound/<ip>:<port>`, `endpoints/<namespace>/<service>:<port>` */
  readonly name: string;
  /** Content hash of the body. */
  readonly version: string;
  /** The objects of ours that this resource enforces; not part of the version. */
  readonly derivedFrom: readonly Origin[];
  readonly body: ResourceBody;
}

export interface Origin {
  readonly key: ObjectKey;
  readonly generation: number;
}

export type ResourceBody =
  | { readonly kind: 'workload'; readonly workload: Workload }
  | { readonly kind: 'trust'; readonly trust: Trust }
  | { readonly kind: 'outbound'; readonly outbound: Outbound }
  | { readonly kind: 'endpoints'; readonly endpoints: Endpoints };

export interface Ref {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export type Protocol = 'detect' | 'http1' | 'http2' | 'grpc' | 'opaque' | 'tls';

export interface Label {
  readonly name: string;
  readonly value: string;
}

export interface HttpMatch {
  readonly path: PathMatch | undefined;
  readonly headers: readonly HeaderMatch[];
  readonly query: readonly QueryMatch[];
  readonly methods: readonly string[];
}

export interface PathMatch {
  readonly kind: 'exact' | 'prefix' | 'regex' | 'regexPrefix';
  readonly value: string;
}

export interface HeaderMatch {
  readonly name: string;
  readonly kind: 'exact' | 'regex';
  readonly value: string;
}

export interface QueryMatch {
  readonly name: string;
  readonly kind: 'exact' | 'regex';
  readonly value: string;
}

export interface Workload {
  readonly mesh: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly identity: string;
  readonly labels: readonly Label[];
  readonly ports: readonly InboundPort[];
  readonly defaultPort: InboundPort;
  readonly inboundPorts: readonly number[];
  readonly unknownDestination: UnknownDestination;
  readonly accessLog: AccessLog;
  readonly logLevel: string;
  readonly podIps: readonly string[];
  readonly detectTimeoutMs: number;
  readonly forwardedFor: boolean;
  /** All containers but the proxy have ended for good. */
  readonly applicationEnded: boolean;
}

export type UnknownDestination = 'passThrough' | 'refuse';
export type AccessLog = 'off' | 'apache' | 'json';

export interface InboundPort {
  readonly port: number;
  readonly protocol: Protocol;
  readonly server: Ref;
  readonly authorizations: readonly Authorization[];
  readonly routes: readonly InboundRoute[];
  readonly unmatchedNotFound: boolean;
  readonly audit: boolean;
  readonly maxRequests: number;
  readonly maxConnectionAgeMs: number;
}

export interface InboundRoute {
  readonly route: Ref;
  readonly matches: readonly HttpMatch[];
  readonly authorizations: readonly Authorization[];
}

export interface Authorization {
  readonly authorization: Ref;
  readonly networks: readonly Network[];
  readonly clients: Clients;
}

export interface Network {
  readonly cidr: string;
  readonly except: readonly string[];
}

export type Clients =
  | { readonly kind: 'unauthenticated' }
  | { readonly kind: 'unauthenticatedTls' }
  | {
      readonly kind: 'meshTls';
      readonly any: boolean;
      readonly identities: readonly string[];
      readonly suffixes: readonly string[];
    };

export interface Outbound {
  readonly destination: Ref;
  readonly protocol: Protocol;
  readonly target: OutboundTarget;
  readonly labels: readonly Label[];
}

/** The oneof `kind` of message Outbound; `named` stands beside `endpoint` only. */
export type OutboundTarget =
  | ({ readonly kind: 'routed' } & Routed)
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint; readonly named: Routed | undefined }
  | { readonly kind: 'passThrough' }
  | { readonly kind: 'refused'; readonly reason: string };

export interface Routed {
  readonly routes: readonly OutboundRoute[];
  readonly defaultBackends: readonly Backend[];
  readonly policies: readonly RequestPolicy[];
}

export interface RequestPolicy {
  readonly policy: Ref;
  readonly rule: string;
  readonly matches: readonly HttpMatch[];
  readonly timeouts: Timeouts | undefined;
  readonly retry: Retry | undefined;
  readonly breaker: Breaker | undefined;
  readonly maxRequests: number;
  readonly faults: readonly Fault[];
}

export interface Timeouts {
  readonly requestMs: number;
  readonly tryMs: number;
  readonly responseMs: number;
  readonly idleMs: number;
}

export interface Retry {
  readonly limit: number;
  readonly statuses: readonly StatusRange[];
  readonly grpcCodes: readonly number[];
  readonly onConnectionError: boolean;
  readonly onTimeout: boolean;
  readonly methods: readonly string[];
  readonly maxBodyBytes: number;
  readonly budget: RetryBudget | undefined;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly maxRetryAfterMs: number;
}

export interface StatusRange {
  readonly first: number;
  readonly last: number;
}

export interface RetryBudget {
  readonly percent: number;
  readonly minPerSecond: number;
  readonly ttlMs: number;
}

export interface Breaker {
  readonly consecutiveFailures: number;
  readonly successRate: SuccessRate | undefined;
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
}

export interface SuccessRate {
  readonly thresholdPermille: number;
  readonly windowMs: number;
  readonly minRequests: number;
}

export interface Fault {
  readonly name: string;
  readonly matches: readonly HttpMatch[];
  readonly identities: readonly string[];
  readonly sharePpm: number;
  readonly delayMs: number;
  readonly abortStatus: number;
  readonly abortGrpc: number;
  /** Safe as a number for 285,000 years. */
  readonly untilUnixMs: number;
  readonly successFloorPermille: number;
}

export interface OutboundRoute {
  readonly route: Ref;
  readonly matches: readonly HttpMatch[];
  readonly backends: readonly Backend[];
  readonly cedeUnavailable: boolean;
}

export interface Backend {
  readonly weight: number;
  readonly backend: Ref;
  readonly target: BackendTarget;
  readonly labels: readonly Label[];
}

export type BackendTarget =
  | { readonly kind: 'endpoints'; readonly name: string }
  | { readonly kind: 'errorStatus'; readonly status: number };

export interface Endpoints {
  /** Sorted by address (as text), then port. */
  readonly endpoints: readonly Endpoint[];
  readonly balancing: Balancing | undefined;
}

/** What is undefined is the proxy's own default. */
export interface Balancing {
  readonly algorithm: Algorithm;
  readonly hashKey: HashKey | undefined;
  readonly slowStartMs: number | undefined;
  readonly ejection: Ejection | undefined;
  readonly localZone: string;
}

export type Algorithm = 'default' | 'peakEwma' | 'leastRequest' | 'ringHash' | 'roundRobin';

export type HashKey =
  | { readonly kind: 'header' | 'cookie'; readonly name: string }
  | { readonly kind: 'identity' | 'source' };

export interface Ejection {
  readonly consecutiveFailures: number | undefined;
  readonly successRate: SuccessRate | undefined;
  readonly pauseMs: number | undefined;
  readonly pauseMaxMs: number | undefined;
  readonly maxPercent: number | undefined;
  readonly panicPercent: number | undefined;
}

/** Turns the endpoints of `baseVersion` into those of the version it is sent as. */
export interface EndpointsDelta {
  readonly baseVersion: string;
  readonly upserted: readonly Endpoint[];
  /** `address:port` */
  readonly removed: readonly string[];
}

export type Transport = 'plain' | 'direct' | 'redirect';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly podUid: string;
  readonly identity: string;
  readonly transport: Transport;
  readonly zone: string;
  readonly labels: readonly Label[];
}

export interface Trust {
  readonly domains: readonly TrustDomain[];
  /** Generation that signs now: proxies with a leaf of another one ask anew. Empty: they wait until their leaf is due. */
  readonly issuer: string;
  /** Over which they spread that. */
  readonly renewWithinMs: number;
}

export interface TrustDomain {
  readonly mesh: string;
  readonly trustDomain: string;
  /** DER. */
  readonly anchors: readonly Uint8Array[];
}
