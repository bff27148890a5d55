// All that the operator must be allowed to do: what its parts say, and what the composition root itself asks for.
import type { PolicyRule } from '../kube/index.ts';
import { WATCHED_KINDS } from '../model/index.ts';
import { canaryRbac } from '../reconcilers/canary/index.ts';
import { rbac as meshConfig } from '../reconcilers/mesh-config/index.ts';
import { rbac as status } from '../reconcilers/status/index.ts';
import { rbac as trustBundle } from '../reconcilers/trust-bundle/index.ts';
import { rbac as webhookConfig } from '../reconcilers/webhook-config/index.ts';

/** Informers list and watch; nothing is read one by one but what says so. */
const READ = ['list', 'watch'] as const;

const watched: readonly PolicyRule[] = WATCHED_KINDS.map(({ group, plural, namespaced }) => ({
  scope: namespaced ? 'watched-namespaces' : 'cluster',
  apiGroups: [group],
  resources: [plural],
  verbs: READ,
}));

const own: readonly PolicyRule[] = [
  // A namespace and its first pod come in one breath: injection asks when the watch is behind.
  { scope: 'cluster', apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  // Who a proxy is, who asks the operator API, and what they may do.
  { scope: 'cluster', apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { scope: 'cluster', apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  // Whether Linkerd's injector is there.
  {
    scope: 'cluster',
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: ['linkerd-proxy-injector-webhook-config'],
    verbs: READ,
  },
  {
    scope: 'control-namespace',
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'update'],
  },
];

export const rbac: readonly PolicyRule[] = [
  ...watched,
  ...meshConfig,
  ...status,
  ...trustBundle,
  ...webhookConfig,
  ...own,
];

export { canaryRbac };
