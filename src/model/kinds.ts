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

const core = (
  field: SnapshotField,
  kind: string,
  plural: string,
  namespaced: boolean,
  group = '',
  version = 'v1',
): WatchedKind => ({
  field,
  group,
  version,
  kind,
  plural,
  namespaced,
  hasConditions: false,
});

const custom = (
  field: SnapshotField,
  kind: string,
  plural: string,
  group: string,
  version: string,
  namespaced = true,
): WatchedKind => ({
  field,
  group,
  version,
  kind,
  plural,
  namespaced,
  hasConditions: true,
});

export const WATCHED_KINDS: readonly WatchedKind[] = [
  core('namespaces', 'Namespace', 'namespaces', false),
  core('nodes', 'Node', 'nodes', false),
  core('services', 'Service', 'services', true),
  core('endpointSlices', 'EndpointSlice', 'endpointslices', true, 'discovery.k8s.io'),
  core('pods', 'Pod', 'pods', true),
  core('networkPolicies', 'NetworkPolicy', 'networkpolicies', true, 'networking.k8s.io'),
  custom('meshConfigs', 'MeshConfig', 'meshconfigs', 'weft.dev', 'v1alpha1', false),
  custom('trafficSplits', 'TrafficSplit', 'trafficsplits', 'split.smi-spec.io', 'v1alpha4'),
  custom('httpRouteGroups', 'HTTPRouteGroup', 'httproutegroups', 'specs.smi-spec.io', 'v1alpha4'),
  custom('servers', 'Server', 'servers', 'policy.linkerd.io', 'v1beta3'),
  custom('serverAuthorizations', 'ServerAuthorization', 'serverauthorizations', 'policy.linkerd.io', 'v1beta1'),
];
