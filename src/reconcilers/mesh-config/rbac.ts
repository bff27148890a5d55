import type { PolicyRule } from '../../kube/index.ts';

/** Secrets are readable in the control namespace alone: it holds nothing but the mesh's own keys. */
export const rbac: readonly PolicyRule[] = [
  { scope: 'cluster', apiGroups: ['weft.dev'], resources: ['meshconfigs'], verbs: ['get', 'list', 'watch'] },
  { scope: 'cluster', apiGroups: ['weft.dev'], resources: ['meshconfigs/status'], verbs: ['patch'] },
  // Owner references block the deletion of their owner only for those who may set finalizers on it.
  { scope: 'cluster', apiGroups: ['weft.dev'], resources: ['meshconfigs/finalizers'], verbs: ['update'] },
  {
    scope: 'control-namespace',
    apiGroups: ['cert-manager.io'],
    resources: ['certificates', 'issuers'],
    verbs: ['get', 'list', 'watch', 'create', 'patch'],
  },
  {
    scope: 'control-namespace',
    apiGroups: [''],
    resources: ['secrets'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
  },
];
