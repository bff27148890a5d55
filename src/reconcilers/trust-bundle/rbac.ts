import type { PolicyRule } from '../../kube/index.ts';
import { BUNDLE_NAME } from './facts.ts';

export const rbac: readonly PolicyRule[] = [
  { scope: 'cluster', apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
  { scope: 'watched-namespaces', apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
  // The informer asks for that one name only, which is what this rule allows.
  {
    scope: 'watched-namespaces',
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: [BUNDLE_NAME],
    verbs: ['list', 'watch', 'patch', 'delete'],
  },
  {
    scope: 'watched-namespaces',
    apiGroups: [''],
    resources: ['configmaps'],
    verbs: ['create'],
    unseen:
      'A server-side apply of an object that is not there yet is asked for as patch, and judged as create besides, which cannot be bound to a name.',
  },
];
