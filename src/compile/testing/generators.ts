/** Random clusters for property tests: small, so that things collide, and with mistakes in them. */
import * as fc from 'fast-check';

type Json = Readonly<Record<string, unknown>>;

const name = fc.constantFrom('a', 'b', 'c');
const label = fc.constantFrom('x', 'y');
const time = fc.constantFrom('2026-01-01T00:00:01Z', '2026-01-01T00:00:02Z');
const port = fc.constantFrom(80, 8080, 9090);

function object(apiVersion: string, kind: string, parts: { readonly metadata: Json; readonly rest: Json }): Json {
  return { apiVersion, kind, metadata: { namespace: 'demo', generation: 1, ...parts.metadata }, ...parts.rest };
}

const podNamed = (name: fc.Arbitrary<string>) =>
  fc
    .record({
      name,
      app: label,
      mesh: fc.constantFrom('default', 'other', undefined),
      port,
      policy: fc.constantFrom(undefined, 'deny', 'all-authenticated', 'bogus'),
    })
    .map(({ name, app, mesh, port, policy }) =>
      object('v1', 'Pod', {
        metadata: {
          name,
          uid: `uid-${name}`,
          labels: { app, ...(mesh === undefined ? {} : { 'weft.dev/proxy': mesh }) },
          annotations: policy === undefined ? {} : { 'weft.dev/default-inbound-policy': policy },
        },
        rest: {
          spec: {
            serviceAccountName: name,
            nodeName: 'n',
            containers: [
              {
                name: 'app',
                ports: [{ name: 'http', containerPort: port }],
                readinessProbe: { httpGet: { path: '/ready', port } },
              },
            ],
          },
          status: { phase: 'Running', podIPs: [{ ip: `10.1.0.${'abc'.indexOf(name) + 1}` }] },
        },
      }),
    );

const serviceNamed = (name: fc.Arbitrary<string>) =>
  fc
    .record({
      name,
      selector: fc.constantFrom<Json>({ app: 'x' }, { app: 'y' }, {}),
      port,
      type: fc.constantFrom('ClusterIP', 'ClusterIP', 'ExternalName'),
      externalIPs: fc.constantFrom<readonly string[]>([], ['203.0.113.1'], ['10.1.0.1', '10.96.0.1']),
    })
    .map(({ name, selector, port, type, externalIPs }) =>
      object('v1', 'Service', {
        metadata: { name },
        rest: {
          spec: {
            type,
            clusterIP: `10.96.0.${'abc'.indexOf(name) + 1}`,
            selector,
            externalIPs,
            ports: [{ port: 80, targetPort: port }],
          },
        },
      }),
    );

const sliceNamed = (name: fc.Arbitrary<string>) =>
  fc
    .record({ name, ready: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), port })
    .map(({ name, ready, port }) =>
      object('discovery.k8s.io/v1', 'EndpointSlice', {
        metadata: { name, labels: { 'kubernetes.io/service-name': name } },
        rest: {
          addressType: 'IPv4',
          ports: [{ name: '', port }],
          endpoints: ready.map((ready, index) => ({
            addresses: [`10.1.0.${index + 1}`],
            conditions: { ready },
            targetRef: { kind: 'Pod', name: 'abc'[index], uid: `uid-${'abc'[index] ?? ''}` },
          })),
        },
      }),
    );

const split = fc
  .record({
    name,
    time,
    root: name,
    matches: fc.constantFrom(undefined, [{ kind: 'HTTPRouteGroup', name: 'a' }]),
    backends: fc.array(fc.record({ service: name, weight: fc.constantFrom(0, 1, 90, '500m', -1, '9G') }), {
      maxLength: 3,
    }),
  })
  .map(({ name, time, root, matches, backends }) =>
    object('split.smi-spec.io/v1alpha4', 'TrafficSplit', {
      metadata: { name, creationTimestamp: time },
      rest: { spec: { service: root, backends, ...(matches === undefined ? {} : { matches }) } },
    }),
  );

const traffic = fc
  .record({
    name,
    time,
    service: name,
    spec: fc.constantFrom<Json>(
      { timeouts: { request: '1s' } },
      { retry: { limit: 2 }, rules: [{ name: 'r', matches: [{ method: 'GET' }], circuitBreaker: {} }] },
      { loadBalancing: { algorithm: 'RingHash', hashOn: { kind: 'Source' } } },
      { loadBalancing: { algorithm: 'RingHash' } },
      { loadBalancing: { zonePreference: 'Prefer' }, circuitBreaker: { consecutiveFailures: 3 } },
      { concurrency: { maxRequestsPerPod: 9 }, connection: { maxAge: '1h' } },
      { faults: [{ name: 'f', abort: {}, until: 'never' }] },
      { faults: [{ name: 'f', delay: '1s', until: '2030-01-01T00:00:00Z' }] },
    ),
  })
  .map(({ name, time, service, spec }) =>
    object('weft.dev/v1alpha1', 'TrafficPolicy', {
      metadata: { name, creationTimestamp: time },
      rest: { spec: { targetRef: { name: service }, ...spec } },
    }),
  );

export const server = fc
  .record({
    name,
    time,
    app: fc.constantFrom('x', 'y', undefined),
    port: fc.constantFrom(80, 8080, 'http'),
    access: fc.constantFrom('deny', 'all-authenticated', 'audit'),
    protocol: fc.constantFrom('HTTP/1', 'unknown', 'bogus'),
  })
  .map(({ name, time, app, port, access, protocol }) =>
    object('policy.linkerd.io/v1beta3', 'Server', {
      metadata: { name, creationTimestamp: time, labels: { app: app ?? 'none' } },
      rest: {
        spec: {
          podSelector: app === undefined ? {} : { matchLabels: { app } },
          port,
          accessPolicy: access,
          proxyProtocol: protocol,
        },
      },
    }),
  );

export const grant = fc
  .record({
    name,
    server: name,
    client: fc.constantFrom<Json>(
      { unauthenticated: true, networks: [{ cidr: '0.0.0.0/0' }] },
      { unauthenticated: true, meshTLS: { identities: ['*'] } },
      { meshTLS: { identities: ['*'] } },
      { meshTLS: { serviceAccounts: [{ name: 'a' }] }, networks: [{ cidr: '10.0.0.0/8', except: ['10.1.0.0/30'] }] },
      { networks: [{ cidr: 'nonsense' }], unauthenticated: true },
      {},
    ),
  })
  .map(({ name, server, client }) =>
    object('policy.linkerd.io/v1beta1', 'ServerAuthorization', {
      metadata: { name },
      rest: { spec: { server: { name: server }, client } },
    }),
  );

const networkPolicy = fc.record({ name, app: label }).map(({ name, app }) =>
  object('networking.k8s.io/v1', 'NetworkPolicy', {
    metadata: { name },
    rest: { spec: { podSelector: { matchLabels: { app } }, policyTypes: ['Ingress'] } },
  }),
);

const meshNamed = (name: fc.Arbitrary<string>) =>
  fc
    .record({
      name,
      policy: fc.constantFrom('deny', 'audit', 'all-unauthenticated', 'cluster-authenticated'),
      trustDomain: fc.constantFrom('cluster.local', 'other.test'),
      trusts: fc.constantFrom<readonly string[]>([], ['default', 'other']),
      isolation: fc.constantFrom('Permissive', 'Strict'),
    })
    .map(({ name, policy, ...settings }) => ({
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'MeshConfig',
      metadata: { name, generation: 1 },
      spec: { defaultInboundPolicy: policy, ...settings },
    }));

const routeGroup = fc.constantFrom('/a', '/b', '(?=x)').map(pathRegex =>
  object('specs.smi-spec.io/v1alpha4', 'HTTPRouteGroup', {
    metadata: { name: 'a' },
    rest: { spec: { matches: [{ name: 'one', pathRegex }] } },
  }),
);

const namespace = fc
  .constantFrom<Json>(
    {},
    { 'weft.dev/opaque-ports': '80' },
    { 'weft.dev/skip-inbound-ports': '8080' },
    { 'weft.dev/default-inbound-policy': 'deny' },
  )
  .map(annotations => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'demo', annotations },
  }));

const node = fc.constantFrom('east', 'west').map(zone => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n', labels: { 'topology.kubernetes.io/zone': zone } },
  status: { addresses: [{ type: 'InternalIP', address: zone === 'east' ? '192.0.2.1' : '203.0.113.1' }] },
}));

export const anyObject: fc.Arbitrary<Json> = fc.oneof(
  podNamed(name),
  serviceNamed(name),
  sliceNamed(name),
  split,
  traffic,
  routeGroup,
  server,
  grant,
  networkPolicy,
  meshNamed(fc.constantFrom('default', 'other')),
  namespace,
  node,
);

/** Of two objects with the same key only the last counts. */
function unique(objects: readonly Json[]): readonly Json[] {
  return [...new Map(objects.map(object => [keyOf(object), object])).values()];
}

export const cluster: fc.Arbitrary<readonly Json[]> = fc.array(anyObject, { maxLength: 25 }).map(unique);

/** With every pod, Service, slice and mesh that the names allow, so that a change of anything else is felt. */
export const fullCluster: fc.Arbitrary<readonly Json[]> = fc
  .tuple(
    ...['a', 'b', 'c'].flatMap(only => [podNamed, serviceNamed, sliceNamed].map(named => named(fc.constant(only)))),
    meshNamed(fc.constant('default')),
    meshNamed(fc.constant('other')),
  )
  .chain(base => fc.array(anyObject, { maxLength: 10 }).map(more => unique([...base, ...more])));

export function keyOf(object: Json): string {
  return `${String(object['kind'])}/${String((object['metadata'] as Json)['name'])}`;
}

/** Every resource that such a cluster can have. */
export const NAMES: readonly string[] = [
  'workload',
  'trust',
  'outbound/203.0.113.1:80',
  'outbound/192.0.2.1:80',
  ...[1, 2, 3].flatMap(index => [
    `outbound/10.96.0.${index}:80`,
    `outbound/10.96.0.${index}:81`,
    `outbound/10.1.0.${index}:8080`,
  ]),
  ...['a', 'b', 'c'].map(service => `endpoints/demo/${service}:80`),
];
