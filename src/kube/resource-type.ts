// Where a kind lives in the Kubernetes API.

export interface ResourceType {
  /** Empty for core/v1. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ResourcePathOptions {
  /** Left out for cluster-scoped kinds and for lists over all namespaces. */
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

export function apiVersionOf(type: Pick<ResourceType, 'group' | 'version'>): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** Path of the API, e.g. `/apis/weft.dev/v1alpha1/meshconfigs/default/status`. */
export function resourcePath(
  type: Pick<ResourceType, 'group' | 'version' | 'plural'>,
  { namespace = '', name = '', subresource = '' }: ResourcePathOptions = {},
): string {
  const parts = [type.group === '' ? 'api' : 'apis', type.group, type.version];
  if (namespace !== '') parts.push('namespaces', namespace);
  parts.push(type.plural, name, subresource);
  return `/${parts
    .filter(part => part !== '')
    .map(encodeURIComponent)
    .join('/')}`;
}
