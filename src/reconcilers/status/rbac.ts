import type { PolicyRule } from '../../kube/index.ts';
import { WATCHED_KINDS } from '../../model/index.ts';

const groups = [...new Set(WATCHED_KINDS.filter(({ hasConditions }) => hasConditions).map(({ group }) => group))];

/** One rule per API group; made from the list of watched kinds, so that a new kind cannot be forgotten. */
const statuses = groups.map(
  (group): PolicyRule => ({
    scope: 'cluster',
    apiGroups: [group],
    resources: WATCHED_KINDS.filter(kind => kind.group === group && kind.hasConditions).map(
      ({ plural }) => `${plural}/status`,
    ),
    verbs: ['patch'],
  }),
);

export const rbac: readonly PolicyRule[] = [
  ...statuses,
  { scope: 'cluster', apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] },
];
