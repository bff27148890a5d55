import type { PolicyRule } from '../../kube/index.ts';

/** Secrets are readable in the control namespace alone: it holds nothing but the mesh's own keys. */
export const rbac: readonly PolicyRule[] = [
  { scope: 'cluster', apiGroups: ['weft.dev'], resources: ['meshconfigs'], verbs: ['list', 'watch'] },
  { scope: 'cluster', apiGroups: ['weft.dev'], resources: ['meshconfigs/status'], verbs: ['patch'] },
  {
    scope: 'cluster',
    apiGroups: ['weft.dev'],
    resources: ['meshconfigs/finalizers'],
    verbs: ['update'],
    unseen:
      'Where the admission plugin OwnerReferencesPermissionEnforcement is on, an owner reference that blocks the deletion of its owner takes the right to set finalizers on it.',
  },
  {
    scope: 'control-namespace',
    apiGroups: ['cert-manager.io'],
    resources: ['certificates', 'issuers'],
    verbs: ['list', 'watch', 'patch'],
  },
  {
    scope: 'control-namespace',
    apiGroups: ['cert-manager.io'],
    resources: ['certificates', 'issuers'],
    verbs: ['create'],
    unseen:
      'A server-side apply of an object that is not there yet is asked for as patch, and judged as create besides.',
  },
  {
    scope: 'control-namespace',
    apiGroups: [''],
    resources: ['secrets'],
    verbs: ['list', 'watch', 'create', 'patch'],
  },
  {
    scope: 'control-namespace',
    apiGroups: [''],
    resources: ['secrets'],
    verbs: ['delete'],
    unseen: 'A replaced generation of an issuer is removed when no leaf that it signed can be alive: hours later.',
  },
];
