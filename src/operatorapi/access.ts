import type { Access } from './ports.ts';

/**
 * What a caller must be allowed to, by SubjectAccessReview, before a path is answered. The resources exist for authorization only; a rule names
 * them like any other: `apiGroups: [weft.dev], resources: [proxies, proxies/config, status, stat, objects], verbs: [get, list]`. A question about one
 * namespace needs the right in that namespace; one about all needs it cluster-wide.
 */
export const access = {
  check: (): Access => ({ verb: 'get', resource: 'status', subresource: '', namespace: '', name: '' }),
  status: (namespace: string): Access => ({ verb: 'get', resource: 'status', subresource: '', namespace, name: '' }),
  stat: (namespace: string): Access => ({ verb: 'get', resource: 'stat', subresource: '', namespace, name: '' }),
  proxies: (namespace: string): Access => ({ verb: 'list', resource: 'proxies', subresource: '', namespace, name: '' }),
  proxyConfig: (namespace: string, name: string): Access => ({
    verb: 'get',
    resource: 'proxies',
    subresource: 'config',
    namespace,
    name,
  }),
  object: (namespace: string, name: string): Access => ({
    verb: 'get',
    resource: 'objects',
    subresource: '',
    namespace,
    name,
  }),
} as const;

/** For messages: `get proxies/config in namespace demo`. */
export function describeAccess({ verb, resource, subresource, namespace }: Access): string {
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  return `${verb} ${what}.weft.dev ${namespace === '' ? 'in all namespaces' : `in namespace ${namespace}`}`;
}
