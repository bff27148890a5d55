import type { ObjectKey } from '../kernel/index.ts';
import type { Condition } from './condition.ts';
import type { LabelSelector, ObjectMeta } from './meta.ts';

/**
 * Everything that compile looks at, taken from the stores in one tick. Objects are trimmed and never change: an object that did not change is
 * the same JavaScript object in the next snapshot, which is what lets a render be skipped.
 */
export interface Snapshot {
  readonly meshConfigs: ReadonlyMap<ObjectKey, CustomObject>;
  readonly namespaces: ReadonlyMap<ObjectKey, NamespaceFacts>;
  readonly services: ReadonlyMap<ObjectKey, ServiceFacts>;
  readonly endpointSlices: ReadonlyMap<ObjectKey, EndpointSliceFacts>;
  readonly pods: ReadonlyMap<ObjectKey, PodFacts>;
  readonly networkPolicies: ReadonlyMap<ObjectKey, NetworkPolicyFacts>;
  readonly nodes: ReadonlyMap<ObjectKey, NodeFacts>;
  readonly trafficPolicies: ReadonlyMap<ObjectKey, CustomObject>;
  readonly trafficSplits: ReadonlyMap<ObjectKey, CustomObject>;
  readonly httpRouteGroups: ReadonlyMap<ObjectKey, CustomObject>;
  readonly servers: ReadonlyMap<ObjectKey, CustomObject>;
  readonly serverAuthorizations: ReadonlyMap<ObjectKey, CustomObject>;
}

/** One of our kinds, not yet judged: compile's parse stage does that, so that an object that is wrong still gets its conditions. */
export interface CustomObject {
  readonly key: ObjectKey;
  /** Group and version as read from the API. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly meta: ObjectMeta;
  readonly spec: unknown;
  /** As stored; compile does not read them. */
  readonly conditions: readonly Condition[];
}

export interface NamespaceFacts {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
}

export interface NodeFacts {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  /** `topology.kubernetes.io/zone`; empty when there is none. */
  readonly zone: string;
  /** Of the node itself, canonical spelling, sorted. */
  readonly ips: readonly string[];
}

export interface ServiceFacts {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** Canonical spelling; empty for headless and ExternalName Services. */
  readonly clusterIps: readonly string[];
  /** Further addresses at which a pod reaches the Service on its own ports: external ones, and those of load balancers that the node answers for. */
  readonly externalIps: readonly string[];
  readonly headless: boolean;
  readonly selector: Readonly<Record<string, string>>;
  /** TCP ports only. */
  readonly ports: readonly ServicePortFacts[];
  readonly internalTrafficPolicy: 'Cluster' | 'Local';
  readonly publishNotReadyAddresses: boolean;
  readonly sessionAffinity: 'None' | 'ClientIP';
}

export interface ServicePortFacts {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
  readonly targetPort: number | string;
  /** Empty when absent. */
  readonly appProtocol: string;
}

export interface EndpointSliceFacts {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  /** Value of `kubernetes.io/service-name`; empty when the slice belongs to no Service. */
  readonly service: string;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  /** TCP ports only. */
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly SliceEndpointFacts[];
}

export interface SliceEndpointFacts {
  /** The first address, canonical spelling; the API says that all addresses of one endpoint are alike. */
  readonly address: string;
  /** Absent means true, as the API says. */
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Name of the pod behind it; empty when something else is. */
  readonly pod: string;
  /** UID of that pod; empty when unknown. */
  readonly podUid: string;
  readonly node: string;
  readonly zone: string;
  /** `hints.forZones`; empty when there is no hint. */
  readonly zoneHints: readonly string[];
}

export interface PodFacts {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  /** Canonical spelling; empty until the pod has one. */
  readonly ips: readonly string[];
  readonly node: string;
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  readonly ready: boolean;
  /** Of all containers, init containers included; TCP only; sorted by number, then name. */
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /** Of all containers, init containers included. */
  readonly probes: readonly ProbeFacts[];
  /** The proxy is an ordinary container, and all others have ended and will not be started again. */
  readonly applicationEnded: boolean;
  /** The workload behind the pod; a ReplicaSet of a Deployment is told as the Deployment. */
  readonly owner: PodOwner | undefined;
}

export interface ProbeFacts {
  /** A number, or the name of a container port. */
  readonly port: number | string;
  readonly method: 'GET' | 'POST';
  /** Without the query; always begins with a slash. */
  readonly path: string;
}

export interface PodOwner {
  readonly kind: string;
  readonly name: string;
}

export interface NetworkPolicyFacts {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly podSelector: LabelSelector;
  /** Whether the policy restricts what comes in. */
  readonly ingress: boolean;
}

export type SnapshotField = keyof Snapshot;
export type SnapshotObject<F extends SnapshotField> = Snapshot[F] extends ReadonlyMap<ObjectKey, infer T> ? T : never;
