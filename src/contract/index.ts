/**
 * L1: the JSON that the operator API answers, version 1. Field names are stable: fields are added, never renamed or given another meaning. Types
 * alone, shared by the server (src/operatorapi) and those who ask it (src/cli). Imports nothing but kernel.
 * Times are RFC 3339 in UTC; durations are milliseconds and say so in their names.
 */

import type { Problem } from '../kernel/index.ts';

export const API_PORT = 8090;

/** Of every answer that is not 200. */
export interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string };
}

/** A replica of the operator whose proxies are missing from the answer, or are told as they were when it was heard of last. */
export interface MissingReplica {
  /** Name of its pod. */
  readonly replica: string;
  readonly reason: string;
}

/** `GET /v1/check`: what the answering replica knows about itself. */
export interface CheckAnswer {
  readonly version: string;
  readonly replica: string;
  readonly ready: boolean;
  readonly checks: readonly Check[];
}

export interface Check {
  /** What is claimed, e.g. `the issuer of mesh default is valid`. */
  readonly name: string;
  readonly result: 'ok' | 'warning' | 'error';
  /** What was found; empty when there is nothing to add. */
  readonly message: string;
  /** What to do about it; empty for `ok`. */
  readonly remedy: string;
}

/** `GET /v1/status[?namespace=]` */
export interface StatusAnswer {
  readonly replica: string;
  /** Of the compiled configuration; grows with each change, counted by each replica for itself. */
  readonly generation: number;
  readonly meshes: readonly MeshStatus[];
  readonly namespaces: readonly NamespaceStatus[];
  /** Pods that should have a proxy and have none; they were made while the injector was away. At most 100 are named. */
  readonly unmeshed: {
    readonly total: number;
    readonly pods: readonly { readonly namespace: string; readonly pod: string }[];
  };
  readonly missing: readonly MissingReplica[];
  readonly problems: readonly Problem[];
}

export interface MeshStatus {
  readonly name: string;
  /** Empty until there is an issuer or a root. */
  readonly trustDomain: string;
  /** Null: no usable issuer, so no certificate can be signed. */
  readonly issuer: { readonly generation: string; readonly notAfter: string } | null;
  readonly proxies: ProxyCounts;
}

export interface NamespaceStatus {
  readonly namespace: string;
  readonly mesh: string;
  /** Pods that have not ended. */
  readonly pods: { readonly total: number; readonly meshed: number };
  readonly proxies: ProxyCounts;
}

/** Of the proxies of all replicas. */
export interface ProxyCounts {
  readonly connected: number;
  /** Those that acknowledged everything that was sent to them. */
  readonly current: number;
  /** Not heard of for 30 s. */
  readonly silent: number;
  /** Those that refused a resource. */
  readonly refusing: number;
}

/** `GET /v1/certs`: who signs, what is trusted, and the certificates of the proxies whose stream the answering replica holds. */
export interface CertsAnswer {
  readonly replica: string;
  readonly meshes: readonly MeshCerts[];
}

export interface MeshCerts {
  readonly mesh: string;
  /** Null: no usable issuer. */
  readonly issuer: { readonly generation: string; readonly notAfter: string } | null;
  readonly roots: readonly RootCert[];
  /** Proxies by the generation that signed their certificate; those that have not said it are under the empty name. */
  readonly leaves: readonly { readonly generation: string; readonly proxies: number }[];
  /** The earliest end of a certificate of a proxy; empty when none is known. */
  readonly firstLeafEnds: string;
  /** Proxies whose clock is more than five minutes from the operator's; the first twenty. */
  readonly skewed: readonly { readonly namespace: string; readonly pod: string; readonly skewMs: number }[];
}

export interface RootCert {
  readonly subject: string;
  readonly notAfter: string;
  /** SHA-256 of the certificate, hexadecimal with colons. */
  readonly fingerprint: string;
}

/** `GET /v1/proxies[?namespace=]` */
export interface ProxiesAnswer {
  readonly replica: string;
  readonly proxies: readonly ProxySummary[];
  readonly missing: readonly MissingReplica[];
}

export interface ProxySummary {
  readonly namespace: string;
  readonly pod: string;
  /** Replica that holds its stream, or held it last. */
  readonly replica: string;
  readonly podUid: string;
  readonly mesh: string;
  readonly node: string;
  readonly zone: string;
  readonly version: string;
  readonly connectedAt: string;
  readonly lastHeardAt: string;
  readonly state: ProxyCondition;
  readonly resources: { readonly total: number; readonly current: number; readonly refused: number };
}

export type ProxyCondition = 'current' | 'updating' | 'refusing' | 'silent';

/** `GET /v1/proxies/<namespace>/<pod>/config` */
export interface ProxyConfigAnswer {
  readonly replica: string;
  readonly proxy: ProxySummary;
  readonly resources: readonly ProxyResource[];
  readonly missing: readonly MissingReplica[];
}

export interface ProxyResource {
  readonly name: string;
  /** As compiled now; empty when the resource is gone. */
  readonly version: string;
  readonly sentVersion: string;
  readonly ackedVersion: string;
  readonly current: boolean;
  /** Why the proxy refused `sentVersion`; empty when it did not. */
  readonly refusal: string;
  /** `group/Kind/namespace/name` of the objects behind it, with their generations. */
  readonly derivedFrom: readonly { readonly object: string; readonly generation: number }[];
  /** Field for field what docs/reference says about proto/weft/config/v1; bytes are base64. Null when the resource is gone. */
  readonly body: unknown;
}

/** `GET /v1/objects/<group or "core">/<Kind>/<namespace or "-">/<name>` */
export interface ObjectAnswer {
  readonly replica: string;
  readonly object: string;
  readonly proxies: { readonly total: number; readonly ready: number; readonly silent: readonly string[] };
  readonly missing: readonly MissingReplica[];
  /** As they are to be written; empty for an object that has none, or is unknown. */
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  readonly problems: readonly Problem[];
}

/** `GET /v1/stat?namespace=[&window=seconds]`: inbound traffic by workload, as the proxies themselves count it: no replica can be missing. */
export interface StatAnswer {
  readonly replica: string;
  /** Between the two readings of each proxy; 0: one reading, everything since the proxy started. */
  readonly windowSeconds: number;
  readonly rows: readonly StatRow[];
  /** Pods whose proxy did not answer; they are missing from the figures. */
  readonly unreachable: readonly { readonly namespace: string; readonly pod: string; readonly reason: string }[];
}

export interface StatRow {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly pods: { readonly total: number; readonly meshed: number };
  readonly requests: number;
  /** Share of responses classified as success, 0 to 1; null without responses. */
  readonly successRate: number | null;
  /** Null when `windowSeconds` is 0. */
  readonly requestsPerSecond: number | null;
  /** Null without responses. Upper bounds are the proxy's buckets; values between are interpolated. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  readonly tcpConnections: number;
}
