import type { AppError, ObjectKey, Problem, Result } from '../kernel/index.ts';
import type { ConfigSource, IssuerStore, ProxyRegistry, Snapshot, StatusPlan, Unsubscribe } from '../model/index.ts';
import type { Clock, Logger, Readiness } from '../runtime/index.ts';

/** Who asks, in the words of `authentication.k8s.io` UserInfo. */
export interface User {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** What is asked for, in the words of `authorization.k8s.io` ResourceAttributes; the group is `weft.dev`. */
export interface Access {
  readonly verb: 'get' | 'list';
  readonly resource: string;
  /** Empty: none. */
  readonly subresource: string;
  /** Empty: all namespaces. */
  readonly namespace: string;
  /** Empty: all. */
  readonly name: string;
}

export interface Authenticator {
  /** Error `unauthenticated` when the API server does not know the token. */
  user(token: string, signal: AbortSignal): Promise<Result<User, AppError>>;
}

export interface Authorizer {
  /** Error `permission-denied` says what is missing. */
  allow(user: User, access: Access, signal: AbortSignal): Promise<Result<true, AppError>>;
}

/** A value that may be replaced while it is in use; `current` is undefined until there is one. */
export interface Source<T> {
  current(): T | undefined;
  onChange(listener: () => void): Unsubscribe;
}

export interface ServingCertificate {
  /** Leaf first. */
  readonly certificatePem: string;
  /** PKCS#8; never logged. */
  readonly privateKeyPem: string;
}

/** The answer of `http://<pod IP>:4191/metrics`; rejects on anything but 200. */
export type MetricsFetcher = (url: string, signal: AbortSignal) => Promise<string>;

/** What the compiler said last. */
export interface Findings {
  readonly statuses: ReadonlyMap<ObjectKey, StatusPlan>;
  readonly problems: readonly Problem[];
}

export interface OperatorApiPorts {
  readonly version: string;
  /** Name of this pod. */
  readonly replica: string;
  readonly controlNamespace: string;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly registry: ProxyRegistry;
  readonly config: ConfigSource;
  readonly issuers: IssuerStore;
  readonly snapshot: () => Snapshot;
  readonly findings: () => Findings;
  readonly readiness: Readiness;
  readonly fetchMetrics: MetricsFetcher;
  readonly clock: Clock;
  readonly logger: Logger;
}
