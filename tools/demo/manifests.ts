// The demo's application: podinfo as a frontend that calls a backend, the backend in two versions, a client that sends steady load to the
// frontend, and a stranger whom nobody granted anything.

export const namespace = 'weft-demo';
export const backends = ['backend-v1', 'backend-v2'] as const;

interface Manifest {
  readonly [field: string]: unknown;
}

const meta = (name: string, more: object = {}): object => ({ name, namespace, ...more });

function deployment(name: string, container: object, podLabels: object = {}): Manifest[] {
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(name) },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: meta(name),
      spec: {
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name, ...podLabels }, annotations: { 'weft.dev/skip-inbound-ports': '8099' } },
          spec: {
            serviceAccountName: name,
            terminationGracePeriodSeconds: 5,
            containers: [{ name: 'app', imagePullPolicy: 'IfNotPresent', ...container }],
          },
        },
      },
    },
  ];
}

function podinfo(image: string, name: string, args: readonly string[], podLabels: object = {}): Manifest[] {
  return deployment(
    name,
    {
      image,
      command: ['/podinfo', '--port=9898', '--level=error', ...args],
      ports: [{ name: 'http', containerPort: 9898 }],
      readinessProbe: { httpGet: { path: '/readyz', port: 9898 }, periodSeconds: 1 },
    },
    podLabels,
  );
}

function client(image: string, name: string): Manifest[] {
  return deployment(name, {
    image,
    args: ['client'],
    ports: [{ name: 'steer', containerPort: 8099 }],
    readinessProbe: { httpGet: { path: '/healthz', port: 8099 }, periodSeconds: 1 },
  });
}

function service(name: string, selector: object): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(name),
    spec: { selector, ports: [{ name: 'http', port: 9898, targetPort: 'http' }] },
  };
}

export const namespaceManifest: Manifest = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
};

/** Everything but the split; policy stands before the workloads. */
export function application(images: { podinfo: string; testapp: string }): Manifest[] {
  return [
    {
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: meta('backend'),
      spec: { podSelector: { matchLabels: { tier: 'backend' } }, port: 'http', proxyProtocol: 'HTTP/1' },
    },
    {
      apiVersion: 'policy.linkerd.io/v1beta1',
      kind: 'ServerAuthorization',
      metadata: meta('backend-for-frontend'),
      spec: { server: { name: 'backend' }, client: { meshTLS: { serviceAccounts: [{ name: 'frontend' }] } } },
    },
    service('frontend', { app: 'frontend' }),
    service('backend', { tier: 'backend' }),
    ...backends.map(name => service(name, { app: name })),
    ...backends.flatMap(name => podinfo(images.podinfo, name, [`--ui-message=${name}`], { tier: 'backend' })),
    ...podinfo(images.podinfo, 'frontend', ['--backend-url=http://backend:9898/api/echo']),
    ...client(images.testapp, 'load'),
    ...client(images.testapp, 'stranger'),
  ];
}

export function split(v1: number, v2: number): Manifest {
  const weights = [v1, v2];
  return {
    apiVersion: 'split.smi-spec.io/v1alpha4',
    kind: 'TrafficSplit',
    metadata: meta('backend'),
    spec: { service: 'backend', backends: backends.map((name, index) => ({ service: name, weight: weights[index] })) },
  };
}
