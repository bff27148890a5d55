import type { PolicyRule } from '../../kube/index.ts';
import { WATCHED_KINDS } from '../../model/index.ts';

/** One rule per kind; made from the list of watched kinds, so that a new one cannot be forgotten. */
const statuses = WATCHED_KINDS.filter(({ hasConditions }) => hasConditions).map(
  ({ group, plural, namespaced }): PolicyRule => ({
    scope: namespaced ? 'watched-namespaces' : 'cluster',
    apiGroups: [group],
    resources: [`${plural}/status`],
    verbs: ['patch'],
  }),
);

export const rbac: readonly PolicyRule[] = [
  ...statuses,
  // Those about a MeshConfig, which has no namespace, go to `default`.
  { scope: 'watched-namespaces', apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] },
];
