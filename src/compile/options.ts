import type { TrustInput } from '../model/index.ts';

export interface CompileOptions {
  /** Milliseconds since 1970, of the tick in which the snapshot was taken. */
  readonly nowMs: number;
  /** e.g. `cluster.local` */
  readonly clusterDomain: string;
  /** e.g. `weft-system`; part of the DNS form of identities. */
  readonly controlNamespace: string;
  /** Roots by mesh name. */
  readonly trust: ReadonlyMap<string, TrustInput>;
}

/** Ports of the proxy itself; the application can have none of them. */
export const PROXY_PORTS: ReadonlySet<number> = new Set([4140, 4143, 4191]);
