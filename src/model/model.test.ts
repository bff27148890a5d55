import { describe, expect, it } from 'vitest';
import { podKey } from '../kernel/index.ts';
import { DECODERS, selectorMatches, snapshotOf, viewKey, WATCHED_KINDS } from './index.ts';

function decodedPod(parts: { readonly metadata?: object; readonly spec?: object; readonly status?: object }) {
  const decoded = DECODERS.pods({
    metadata: { name: 'a', namespace: 'demo', ...parts.metadata },
    spec: parts.spec,
    status: parts.status,
  });
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
}

describe('a pod', () => {
  it('has the TCP ports of all its containers, but not those of its proxy', () => {
    const pod = decodedPod({
      spec: {
        initContainers: [
          { name: 'weft-init' },
          { name: 'weft-proxy', ports: [{ containerPort: 4143 }] },
          { name: 'side', ports: [{ name: 'admin', containerPort: 9000 }] },
        ],
        containers: [
          {
            name: 'app',
            ports: [
              { name: 'http', containerPort: 8080 },
              { containerPort: 53, protocol: 'UDP' },
            ],
          },
        ],
      },
    });
    expect(pod.ports).toEqual([
      { name: 'http', port: 8080 },
      { name: 'admin', port: 9000 },
    ]);
  });

  it('has its plain HTTP and gRPC probes, with numbers where its container names the port', () => {
    const get = (path: string, port: unknown, scheme?: string) => ({ httpGet: { path, port, scheme } });
    const pod = decodedPod({
      spec: {
        containers: [
          {
            name: 'app',
            ports: [{ name: 'http', containerPort: 8080 }],
            livenessProbe: get('/live?full=1', 'http'),
            readinessProbe: get('ready', '9090'),
            startupProbe: get('/tls', 8443, 'HTTPS'),
          },
          { name: 'other', livenessProbe: { tcpSocket: { port: 1 } }, readinessProbe: get('', 'nowhere') },
          { name: 'rpc', readinessProbe: { grpc: { port: 9091, service: 'deep' } } },
        ],
      },
    });
    expect(pod.probes).toEqual([
      { port: 8080, method: 'GET', path: '/live' },
      { port: 9090, method: 'GET', path: '/ready' },
      { port: 'nowhere', method: 'GET', path: '/' },
      { port: 9091, method: 'POST', path: '/grpc.health.v1.Health/Check' },
    ]);
  });

  it.each([
    [
      'of a Deployment is told as such',
      'ReplicaSet',
      'web-5d8f',
      { 'pod-template-hash': '5d8f' },
      { kind: 'Deployment', name: 'web' },
    ],
    ['of a bare ReplicaSet is told as that', 'ReplicaSet', 'web', {}, { kind: 'ReplicaSet', name: 'web' }],
    [
      'of a ReplicaSet that only looks like it is told as that',
      'ReplicaSet',
      'web-5d8f',
      { 'pod-template-hash': 'other' },
      { kind: 'ReplicaSet', name: 'web-5d8f' },
    ],
    ['of a StatefulSet is told as that', 'StatefulSet', 'db', {}, { kind: 'StatefulSet', name: 'db' }],
  ])('%s', (_, kind, name, ...[labels, owner]) => {
    expect(
      decodedPod({
        metadata: {
          labels,
          ownerReferences: [
            { kind: 'Node', name: 'n' },
            { kind, name, controller: true },
          ],
        },
      }).owner,
    ).toEqual(owner);
  });

  it('has its addresses once each, in one spelling', () => {
    const pod = decodedPod({
      status: {
        podIP: '10.0.0.1',
        podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00:0::1' }],
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    });
    expect(pod).toMatchObject({
      ips: ['10.0.0.1', 'fd00::1'],
      phase: 'Running',
      ready: true,
      serviceAccount: 'default',
    });
  });
});

describe('a Service', () => {
  it('is headless, or has its cluster IPs', () => {
    const decode = (spec: object) => DECODERS.services({ metadata: { name: 's', namespace: 'demo' }, spec });
    expect(decode({ clusterIP: 'None', clusterIPs: ['None'] })).toMatchObject({
      value: { headless: true, clusterIps: [] },
    });
    expect(decode({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', 'fd00::1'] })).toMatchObject({
      value: { headless: false, clusterIps: ['10.0.0.1', 'fd00::1'] },
    });
    expect(decode({ type: 'ExternalName', clusterIP: '' })).toMatchObject({
      value: { headless: false, clusterIps: [] },
    });
  });

  it('has the addresses at which nodes answer for it', () => {
    const decode = (spec: object) =>
      DECODERS.services({
        metadata: { name: 's', namespace: 'demo' },
        spec,
        status: {
          loadBalancer: {
            ingress: [{ ip: 'FD00:0::7', ipMode: 'VIP' }, { ip: '203.0.113.9', ipMode: 'Proxy' }, { hostname: 'lb' }],
          },
        },
      });
    expect(decode({ clusterIP: '10.0.0.1', externalIPs: ['203.0.113.1', 'nonsense'] })).toMatchObject({
      value: { externalIps: ['203.0.113.1', 'fd00::7'] },
    });
    expect(decode({ clusterIP: 'None', externalIPs: ['203.0.113.1'] })).toMatchObject({ value: { externalIps: [] } });
  });

  it('sends to its own port where it names no other', () => {
    const decoded = DECODERS.services({
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }, { port: 81, targetPort: 'http' }, { port: 53, protocol: 'UDP' }] },
    });
    expect(decoded).toMatchObject({
      value: {
        ports: [
          { port: 80, targetPort: 80 },
          { port: 81, targetPort: 'http' },
        ],
      },
    });
  });
});

describe('an EndpointSlice', () => {
  it('reads absent conditions as the API says', () => {
    const decoded = DECODERS.endpointSlices({
      metadata: { name: 's', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['10.0.0.1'] },
        { addresses: ['10.0.0.2'], conditions: { ready: false, terminating: true } },
        { addresses: [] },
      ],
    });
    expect(decoded).toMatchObject({
      value: {
        service: 'web',
        endpoints: [
          { address: '10.0.0.1', ready: true, serving: true, terminating: false },
          { address: '10.0.0.2', ready: false, serving: false, terminating: true },
        ],
      },
    });
  });
});

describe('a NetworkPolicy', () => {
  it.each([
    [['Ingress'], true],
    [['Egress'], false],
    [undefined, true],
  ])('with the types %j restricts what comes in: %s', (policyTypes, ingress) => {
    expect(DECODERS.networkPolicies({ metadata: { name: 'n' }, spec: { podSelector: {}, policyTypes } })).toMatchObject(
      { value: { ingress } },
    );
  });
});

describe('selectors', () => {
  const labels = { app: 'web', tier: 'front' };
  it.each([
    [{}, true],
    [{ matchLabels: { app: 'web' } }, true],
    [{ matchLabels: { app: 'web', tier: 'back' } }, false],
    [{ matchExpressions: [{ key: 'app', operator: 'In' as const, values: ['web'] }] }, true],
    [{ matchExpressions: [{ key: 'app', operator: 'NotIn' as const, values: ['web'] }] }, false],
    [{ matchExpressions: [{ key: 'none', operator: 'NotIn' as const, values: ['web'] }] }, true],
    [{ matchExpressions: [{ key: 'none', operator: 'Exists' as const }] }, false],
    [{ matchExpressions: [{ key: 'none', operator: 'DoesNotExist' as const }] }, true],
  ])('%j selects: %s', (selector, selects) => expect(selectorMatches(selector, labels)).toBe(selects));
});

describe('decoding', () => {
  it.each(WATCHED_KINDS.map(({ field }) => field))('%s never throws, and only a missing name is an error', field => {
    for (const raw of [null, undefined, 7, 'x', [], {}, { metadata: null }])
      expect(DECODERS[field](raw)).toMatchObject({ ok: false, error: { path: 'metadata.name' } });
    for (const odd of [null, 7, 'x', [], { a: 1 }])
      expect(DECODERS[field]({ metadata: { name: 'a' }, spec: odd, status: odd })).toMatchObject({ ok: true });
  });

  it('puts each object into the field of its kind, and leaves others out', () => {
    const { snapshot, problems } = snapshotOf([
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'demo' } },
      {
        apiVersion: 'policy.linkerd.io/v1beta1',
        kind: 'Server',
        metadata: { name: 's', namespace: 'demo' },
        spec: { port: 1 },
      },
      { apiVersion: 'example.com/v1', kind: 'Server', metadata: { name: 'other', namespace: 'demo' } },
      { apiVersion: 'v1', kind: 'Pod', metadata: {} },
    ]);
    expect([...snapshot.pods.keys()]).toEqual([podKey('demo', 'a')]);
    expect([...snapshot.servers.values()].map(server => server.spec)).toEqual([{ port: 1 }]);
    expect(problems).toMatchObject([{ path: 'metadata.name' }]);
  });
});

describe('views', () => {
  it('have equal keys only when they are equal', () => {
    const view = { mesh: 'm', namespace: 'n', zone: 'z', node: 'o' };
    expect(viewKey(view)).toBe(viewKey({ ...view }));
    for (const part of ['mesh', 'namespace', 'zone', 'node'])
      expect(viewKey({ ...view, [part]: 'other' })).not.toBe(viewKey(view));
  });
});
