import type { SnapshotField } from './snapshot.ts';

/** What an informer needs to know to feed one field of the snapshot. */
export interface WatchedKind {
  readonly field: SnapshotField;
  readonly group: string;
  /** The version to list and watch: the one that every supported cluster or our own CRD serves. */
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Whether `status.conditions` are ours to write. */
  readonly hasConditions: boolean;
}

export const WATCHED_KINDS: readonly WatchedKind[] = [
  core('namespaces', '/v1/namespaces', 'Namespace'),
  core('nodes', '/v1/nodes', 'Node'),
  namespaced(core('services', '/v1/services', 'Service')),
  namespaced(core('endpointSlices', 'discovery.k8s.io/v1/endpointslices', 'EndpointSlice')),
  namespaced(core('pods', '/v1/pods', 'Pod')),
  namespaced(core('networkPolicies', 'networking.k8s.io/v1/networkpolicies', 'NetworkPolicy')),
  custom('meshConfigs', 'weft.dev/v1alpha1/meshconfigs', 'MeshConfig'),
  namespaced(custom('trafficPolicies', 'weft.dev/v1alpha1/trafficpolicies', 'TrafficPolicy')),
  namespaced(custom('trafficSplits', 'split.smi-spec.io/v1alpha4/trafficsplits', 'TrafficSplit')),
  namespaced(custom('httpRouteGroups', 'specs.smi-spec.io/v1alpha4/httproutegroups', 'HTTPRouteGroup')),
  namespaced(custom('servers', 'policy.linkerd.io/v1beta3/servers', 'Server')),
  namespaced(custom('serverAuthorizations', 'policy.linkerd.io/v1beta1/serverauthorizations', 'ServerAuthorization')),
];

function core(field: SnapshotField, path: string, kind: string): WatchedKind {
  const [group = '', version = '', plural = ''] = path.split('/');
  return { field, group, version, kind, plural, namespaced: false, hasConditions: false };
}

function custom(field: SnapshotField, path: string, kind: string): WatchedKind {
  return { ...core(field, path, kind), hasConditions: true };
}

function namespaced(kind: WatchedKind): WatchedKind {
  return { ...kind, namespaced: true };
}
