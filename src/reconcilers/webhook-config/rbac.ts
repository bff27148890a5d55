import type { PolicyRule } from '../../kube/index.ts';
import { WEBHOOK_CONFIGURATION } from './facts.ts';

/** The Secret lies in the control namespace, where mesh-config's rule covers it. */
export const rbac: readonly PolicyRule[] = [
  {
    scope: 'cluster',
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
    resourceNames: [WEBHOOK_CONFIGURATION],
    verbs: ['list', 'watch', 'patch'],
  },
  {
    scope: 'control-namespace',
    apiGroups: [''],
    resources: ['secrets'],
    verbs: ['list', 'watch', 'create', 'patch'],
  },
  {
    scope: 'control-namespace',
    apiGroups: ['cert-manager.io'],
    resources: ['certificates'],
    verbs: ['list', 'watch'],
  },
  {
    scope: 'control-namespace',
    apiGroups: ['cert-manager.io'],
    resources: ['certificates'],
    verbs: ['create', 'patch'],
    unseen: 'Asked for only where the webhook certificate is to come from cert-manager.',
  },
];
