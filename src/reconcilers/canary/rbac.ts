import type { PolicyRule } from '../../kube/index.ts';

/** Of the process that runs canaries, which has a service account of its own: the operator holds the issuer's key, and reads no other Secret. */
export const canaryRbac: readonly PolicyRule[] = [
  {
    scope: 'watched-namespaces',
    apiGroups: ['weft.dev'],
    resources: ['canaries'],
    verbs: ['get', 'list', 'watch', 'patch'],
  },
  { scope: 'watched-namespaces', apiGroups: ['weft.dev'], resources: ['canaries/status'], verbs: ['patch'] },
  {
    scope: 'watched-namespaces',
    apiGroups: ['weft.dev'],
    resources: ['metrictemplates', 'alertproviders'],
    verbs: ['get'],
  },
  // The target is scaled; the primary is made.
  {
    scope: 'watched-namespaces',
    apiGroups: ['apps'],
    resources: ['deployments'],
    verbs: ['get', 'list', 'watch', 'create', 'patch'],
  },
  {
    scope: 'watched-namespaces',
    apiGroups: ['autoscaling'],
    resources: ['horizontalpodautoscalers'],
    verbs: ['get', 'list', 'watch', 'create', 'patch'],
  },
  {
    scope: 'watched-namespaces',
    apiGroups: [''],
    resources: ['services'],
    verbs: ['get', 'list', 'watch', 'create', 'patch'],
  },
  // One by one, those that a target names: never a list.
  {
    scope: 'watched-namespaces',
    apiGroups: [''],
    resources: ['configmaps', 'secrets'],
    verbs: ['get', 'create', 'patch'],
  },
  {
    scope: 'watched-namespaces',
    apiGroups: ['split.smi-spec.io'],
    resources: ['trafficsplits'],
    verbs: ['get', 'list', 'watch', 'create', 'patch'],
  },
  {
    scope: 'watched-namespaces',
    apiGroups: ['specs.smi-spec.io'],
    resources: ['httproutegroups'],
    verbs: ['get', 'create', 'patch'],
  },
  { scope: 'watched-namespaces', apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] },
  {
    scope: 'control-namespace',
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'update'],
  },
];
