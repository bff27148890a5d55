import type { PolicyRule } from '../../kube/index.ts';
import { BUNDLE_NAME } from './facts.ts';

export const rbac: readonly PolicyRule[] = [
  { scope: 'cluster', apiGroups: [''], resources: ['namespaces', 'pods'], verbs: ['get', 'list', 'watch'] },
  // The informer asks for that one name only, which is what this rule allows.
  {
    scope: 'cluster',
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: [BUNDLE_NAME],
    verbs: ['get', 'list', 'watch', 'patch', 'delete'],
  },
  // Server-side apply of an object that does not exist yet counts as create, which cannot be bound to a name.
  { scope: 'cluster', apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
];
