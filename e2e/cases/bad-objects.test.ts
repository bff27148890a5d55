import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  applyError,
  call,
  clientPod,
  eventually,
  getObject,
  kubectl,
  type KubernetesObject,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';

const namespace = `bad-objects-${Math.random().toString(36).slice(2, 6)}`;

const split = (spec: object, name = 'bad'): KubernetesObject => ({
  apiVersion: 'split.smi-spec.io/v1alpha4',
  kind: 'TrafficSplit',
  metadata: { name, namespace },
  spec,
});
const server = (spec: object, name = 'bad'): KubernetesObject => ({
  apiVersion: 'policy.linkerd.io/v1beta3',
  kind: 'Server',
  metadata: { name, namespace },
  spec,
});
const grant = (spec: object, name = 'bad'): KubernetesObject => ({
  apiVersion: 'policy.linkerd.io/v1beta1',
  kind: 'ServerAuthorization',
  metadata: { name, namespace },
  spec,
});
const mesh = (spec: object): KubernetesObject => ({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'MeshConfig',
  metadata: { name: 'bad' },
  spec,
});
const traffic = (spec: object): KubernetesObject => ({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: { name: 'bad', namespace },
  spec: { targetRef: { name: 'web' }, ...spec },
});
const backends = (...weights: unknown[]) => weights.map((weight, index) => ({ service: `web-v${index + 1}`, weight }));
const web = { podSelector: { matchLabels: { app: 'web' } } };
const toWeb = { server: { name: 'web-http' } };

/** Every object, and the field that its error must name. */
const refused: readonly (readonly [string, KubernetesObject, string])[] = [
  ['a negative weight', split({ service: 'web', backends: backends(-1, 2) }), 'weight'],
  ['a weight that is no number', split({ service: 'web', backends: backends('many', 2) }), 'weight'],
  ['a weight that is a boolean', split({ service: 'web', backends: backends(true, 2) }), 'weight'],
  ['a weight beyond all bounds', split({ service: 'web', backends: backends(9_000_000_000_000, 1) }), 'weight'],
  ['a split without a service', split({ backends: backends(1) }), 'service'],
  ['a service that is no name', split({ service: 'We b!', backends: backends(1) }), 'service'],
  ['a backend without a service', split({ service: 'web', backends: [{ weight: 1 }] }), 'service'],
  ['backends that are no list', split({ service: 'web', backends: 'web-v1' }), 'backends'],
  [
    'the same backend twice',
    split({
      service: 'web',
      backends: [
        { service: 'web-v1', weight: 1 },
        { service: 'web-v1', weight: 2 },
      ],
    }),
    'backends',
  ],
  [
    'a thousand backends',
    split({
      service: 'web',
      backends: Array.from({ length: 1_000 }, (_, index) => ({ service: `web-${index}`, weight: 1 })),
    }),
    'backends',
  ],
  [
    'matches of another kind',
    split({ service: 'web', backends: backends(1), matches: [{ kind: 'Deployment', name: 'x' }] }),
    'matches',
  ],
  ['a Server without a port', server({ ...web }), 'port'],
  ['a port that does not exist', server({ ...web, port: 70_000 }), 'port'],
  ['a port of a wrong type', server({ ...web, port: { number: 80 } }), 'port'],
  ['a Server without a selector', server({ port: 8080 }), 'podSelector'],
  ['a protocol that nobody speaks', server({ ...web, port: 8080, proxyProtocol: 'GOPHER' }), 'proxyProtocol'],
  ['an access policy of no name', server({ ...web, port: 8080, accessPolicy: 'everybody' }), 'accessPolicy'],
  [
    'a selector operator of no name',
    server({ podSelector: { matchExpressions: [{ key: 'app', operator: 'Like', values: ['w'] }] }, port: 8080 }),
    'operator',
  ],
  ['a bad CIDR', grant({ ...toWeb, client: { unauthenticated: true, networks: [{ cidr: '10.0.0.0/40' }] } }), 'cidr'],
  [
    'a CIDR with host bits and words',
    grant({ ...toWeb, client: { unauthenticated: true, networks: [{ cidr: 'everywhere' }] } }),
    'cidr',
  ],
  [
    'an exception outside its range',
    grant({
      ...toWeb,
      client: { unauthenticated: true, networks: [{ cidr: '10.0.0.0/8', except: ['192.168.0.0/16'] }] },
    }),
    'except',
  ],
  [
    'an exception that takes all',
    grant({ ...toWeb, client: { unauthenticated: true, networks: [{ cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] }] } }),
    'except',
  ],
  [
    'unauthenticated and mesh TLS at once',
    grant({ ...toWeb, client: { unauthenticated: true, meshTLS: { identities: ['*'] } } }),
    'meshTLS',
  ],
  [
    'unauthenticated TLS with identities',
    grant({ ...toWeb, client: { meshTLS: { unauthenticatedTLS: true, identities: ['*'] } } }),
    'unauthenticatedTLS',
  ],
  [
    'an identity that is none',
    grant({ ...toWeb, client: { meshTLS: { identities: ['Not An Identity'] } } }),
    'identities',
  ],
  ['a grant for no server', grant({ client: { unauthenticated: true } }), 'server'],
  [
    'a server named and selected',
    grant({ server: { name: 'a', selector: {} }, client: { unauthenticated: true } }),
    'server',
  ],
  ['a client that nobody is', grant({ ...toWeb, client: {} }), 'client'],
  ['a policy for a Pod', traffic({ targetRef: { kind: 'Pod', name: 'web' } }), 'targetRef.kind'],
  ['a duration without a unit', traffic({ timeouts: { request: '5' } }), 'timeouts.request'],
  ['a try that outlasts its request', traffic({ timeouts: { request: '1s', perTry: '2s' } }), 'perTry'],
  ['more tries than any server bears', traffic({ retry: { limit: 11 } }), 'retry.limit'],
  ['a word that is no reason to retry', traffic({ retry: { httpOn: ['6xx'] } }), 'retry.httpOn'],
  ['a ring that hashes on nothing', traffic({ loadBalancing: { algorithm: 'RingHash' } }), 'hashOn'],
  ['a fault without an end', traffic({ faults: [{ name: 'slow', delay: '1s' }] }), 'until'],
  ['a fault that does nothing', traffic({ faults: [{ name: 'idle', until: '2030-01-01T00:00:00Z' }] }), 'faults'],
  [
    'a rule whose expression is no RE2',
    traffic({ rules: [{ name: 'a', matches: [{ path: { type: 'RegularExpression', value: '(?=a)' } }] }] }),
    'path.value',
  ],
  ['a MeshConfig with a bad trust domain', mesh({ trustDomain: 'Not A Domain' }), 'trustDomain'],
  ['a MeshConfig with a bad default policy', mesh({ defaultInboundPolicy: 'maybe' }), 'defaultInboundPolicy'],
  ['a MeshConfig with a bad network', mesh({ clusterNetworks: ['10.0.0.0/99'] }), 'clusterNetworks'],
];

beforeAll(async () => {
  await apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
  });
  await apply(
    server({ ...web, port: 'http' }, 'web-http'),
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...clientPod({ namespace, name: 'client' }),
  );
  await Promise.all(['web', 'client'].map(name => waitRollout(namespace, name)));
  await waitAnswered(namespace, 'client');
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
});

const statusOf = async (): Promise<number> => (await call(namespace, 'client', { url: 'http://web/' })).status;

interface Conditions {
  status?: {
    conditions?: { type: string; status: string; reason: string; message: string; observedGeneration: number }[];
  };
  metadata: { generation: number };
}

describe('a bad object', () => {
  it.each(refused)('%s is refused with an error that names the field', async (_, object, field) => {
    const error = await applyError(object);
    expect(error, 'it was accepted').toBeDefined();
    expect(error).toContain(field);
    expect(error).toContain('bad');
  });

  it('never opened the port that a Server closes', async () => {
    expect(await statusOf()).toBe(403);
  });
});

describe('a bad object that was there before anyone could refuse it', () => {
  const validating = ['validatingwebhookconfiguration', 'weft-webhooks'] as const;

  // With the webhook away the API server's schema is all that judges; what passes it must be judged again when it is compiled.
  const late: readonly (readonly [string, KubernetesObject, string])[] = [
    [
      'an exception that takes all',
      grant(
        { ...toWeb, client: { unauthenticated: true, networks: [{ cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] }] } },
        'late-grant',
      ),
      'serverauthorization.policy.linkerd.io',
    ],
    [
      'a grant that contradicts itself',
      grant({ ...toWeb, client: { unauthenticated: true, meshTLS: { identities: ['*'] } } }, 'late-both'),
      'serverauthorization.policy.linkerd.io',
    ],
    [
      'the same backend twice',
      split(
        {
          service: 'web',
          backends: [
            { service: 'web-v1', weight: 1 },
            { service: 'web-v1', weight: 2 },
          ],
        },
        'late-split',
      ),
      'trafficsplit.split.smi-spec.io',
    ],
  ];

  it('gets a condition that says so, and never widens access', async () => {
    const saved = JSON.parse(await kubectl(['get', ...validating, '-o', 'json'])) as KubernetesObject;
    await kubectl(['delete', ...validating]);
    try {
      await apply(...late.map(([, object]) => object));
      for (const [title, object, kind] of late) {
        await eventually(`${title}: Accepted is False`, async () => {
          const { status, metadata } = await getObject<Conditions>(kind, object.metadata.name, namespace);
          const condition = status?.conditions?.find(({ type }) => type === 'Accepted');
          return (
            condition?.status === 'False' &&
            condition.observedGeneration === metadata.generation &&
            condition.message.length > 10
          );
        });
      }
      expect(await statusOf()).toBe(403);
    } finally {
      const { name, labels, annotations } = saved.metadata;
      await apply({ ...saved, metadata: { name, labels, annotations } });
    }
  });

  it('does not stand in the way of a good grant beside it', async () => {
    await apply(grant({ ...toWeb, client: { meshTLS: { identities: ['*'] } } }, 'good'));
    await eventually('the good grant is in force', async () => (await statusOf()) === 200);
  });

  it('says of two Servers on one port which one rules', async () => {
    await apply(server({ ...web, port: 'http' }, 'web-http-again'));
    await eventually('the younger one is told', async () => {
      const { status } = await getObject<Conditions>('server.policy.linkerd.io', 'web-http-again', namespace);
      const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
      return accepted?.status === 'False' && accepted.message.includes('web-http');
    });
  });
});
