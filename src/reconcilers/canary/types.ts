// Kinds that a Canary reads and writes.
import type { ResourceType } from '../../kube/index.ts';

const namespaced = (group: string, version: string, plural: string, kind: string): ResourceType => ({
  group,
  version,
  plural,
  kind,
  namespaced: true,
});

export const CANARIES = namespaced('weft.dev', 'v1alpha1', 'canaries', 'Canary');
export const METRIC_TEMPLATES = namespaced('weft.dev', 'v1alpha1', 'metrictemplates', 'MetricTemplate');
export const ALERT_PROVIDERS = namespaced('weft.dev', 'v1alpha1', 'alertproviders', 'AlertProvider');
export const DEPLOYMENTS = namespaced('apps', 'v1', 'deployments', 'Deployment');
export const SERVICES = namespaced('', 'v1', 'services', 'Service');
export const CONFIG_MAPS = namespaced('', 'v1', 'configmaps', 'ConfigMap');
export const AUTOSCALERS = namespaced('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler');
export const SPLITS = namespaced('split.smi-spec.io', 'v1alpha4', 'trafficsplits', 'TrafficSplit');
export const ROUTE_GROUPS = namespaced('specs.smi-spec.io', 'v1alpha4', 'httproutegroups', 'HTTPRouteGroup');
