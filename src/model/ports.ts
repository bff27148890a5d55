import type { AppError, ObjectKey, Result } from '../kernel/index.ts';
import type { Resource } from './resources.ts';
import type { Who } from './view.ts';

// The plain interfaces through which the parts of the operator meet; the composition root plugs one into the other.

export type Unsubscribe = () => void;

/** The publisher, as the config server sees it. */
export interface ConfigSource {
  /** Undefined: there is no such resource; for `outbound/...` the mesh's rule for unknown destinations applies. */
  resource(who: Who, name: string): Resource | undefined;
  /** False: the last publish has left the resource as the asker had it, and it need not be asked for again. */
  changed(who: Who, name: string): boolean;
  /** Called after a new generation is in place; the listener asks again for what its streams hold. */
  onPublish(listener: () => void): Unsubscribe;
  /** Undefined: the pod is unknown, or has no proxy. */
  view(podKey: ObjectKey): Who | undefined;
  /** Grows with each publish; 0 until the first. */
  readonly generation: number;
}

/** All proxies of the cluster, as the reconcilers and the operator API see them. */
export interface ProxyRegistry {
  /** Proxies that hold a resource derived from the object. */
  holders(key: ObjectKey): Holders;
  proxies(): readonly ProxyState[];
  /** Replicas of the operator whose proxies should be known here and are not, or no longer. */
  missing(): readonly MissingReplica[];
  onChange(listener: () => void): Unsubscribe;
}

export interface MissingReplica {
  /** Name of its pod. */
  readonly replica: string;
  readonly reason: string;
}

/** The config server's own proxies: those whose stream this replica holds, or held until lately. */
export interface OwnProxies {
  /** By pod, what each proxy counts as in Holders. */
  holdings(key: ObjectKey): ReadonlyMap<ObjectKey, Holding>;
  /** Why resources derived from the object were not sent, one sentence each. */
  tooLarge(key: ObjectKey): readonly string[];
  proxies(): readonly ProxyState[];
  state(podKey: ObjectKey): ProxyState | undefined;
  /** A part of that, at less cost. */
  sighting(podKey: ObjectKey): Sighting | undefined;
  /** How many streams are open. */
  connected(): number;
  /** Once per turn of the event loop in which anything has changed. */
  onChange(listener: () => void): Unsubscribe;
  /** For every change of a proxy, and when it is forgotten. */
  onProxy(listener: (podKey: ObjectKey) => void): Unsubscribe;
}

/** What a proxy enforces of an object: all that is compiled, less, or nobody knows. */
export type Holding = 'ready' | 'behind' | 'silent';

export interface Holders {
  readonly total: number;
  /** Those whose acknowledged version is the compiled one, for every such resource. */
  readonly ready: number;
  /** `namespace/pod` of those that have not answered for 30 s, sorted; counted in `total`, not in `ready`. */
  readonly silent: readonly string[];
  /** Why resources derived from the object were not sent, one sentence each: they are larger than a proxy takes. Absent: none was. */
  readonly tooLarge?: readonly string[];
}

/** Where and when a proxy was seen. */
export interface Sighting {
  /** The replica that holds its stream, or held it last; empty: this one. */
  readonly replica: string;
  readonly connected: boolean;
  readonly connectedAtMs: number;
}

export interface ProxyState extends Sighting {
  readonly who: Who;
  readonly proxyVersion: string;
  readonly lastHeardMs: number;
  /** It owes an answer for 30 s, or its stream ended so long ago. A stream on which nothing was to be said is not silent: pings keep it honest. */
  readonly silent: boolean;
  readonly resources: readonly HeldResource[];
  /** The certificate that it has said to hold; undefined before that, and for proxies that are too old to say. */
  readonly leaf: ProxyLeaf | undefined;
}

export interface ProxyLeaf {
  /** Issuer Secret that signed it. */
  readonly generation: string;
  readonly notAfterMs: number;
  /** The proxy's clock minus ours when it said so, time under way included. */
  readonly skewMs: number;
}

export interface HeldResource {
  readonly name: string;
  /** Empty until the first acknowledgement. */
  readonly ackedVersion: string;
  /** The newest version that was sent; empty when nothing was. */
  readonly sentVersion: string;
  /** Reason of the latest refusal of `sentVersion`. */
  readonly nackReason: string | undefined;
}

/** TokenReview with audience `weft.dev`. */
export interface PodAuthenticator {
  authenticate(token: string, signal: AbortSignal): Promise<Result<PodIdentity, AppError>>;
}

export interface PodIdentity {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly serviceAccount: string;
}

/** Issuers and roots, by mesh. */
export interface IssuerStore {
  /** Undefined: no usable issuer yet. */
  active(mesh: string): Issuer | undefined;
  trust(): ReadonlyMap<string, TrustInput>;
  onChange(listener: () => void): Unsubscribe;
}

/** What signs leaves. */
export interface Issuer {
  /** The immutable Secret it comes from. */
  readonly generation: string;
  readonly trustDomain: string;
  /** DER: the issuer's certificate first, then the intermediates up to, not including, the root. */
  readonly chainDer: readonly Uint8Array[];
  /** PKCS#8 PEM; never logged, never sent. */
  readonly privateKeyPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly leafDurationMs: number;
}

export interface TrustInput {
  readonly trustDomain: string;
  readonly anchorsDer: readonly Uint8Array[];
  /** The generation that signs now; empty while there is none. */
  readonly issuer: string;
  readonly leafDurationMs: number;
}
