import { describe, expect, it } from 'vitest';
import { podKey } from '../../kernel/index.ts';
import { DECODERS, type Snapshot, type SnapshotField, snapshotOf } from '../../model/index.ts';
import { compile, type Rendered, renderAgain, whoIs } from '../index.ts';
import { OPTIONS } from '../testing/golden-case.ts';

const demo = (name: string) => ({ name, namespace: 'demo' });
const split = (weight: number) => ({
  apiVersion: 'split.smi-spec.io/v1alpha4',
  kind: 'TrafficSplit',
  metadata: demo('web'),
  spec: {
    service: 'web',
    backends: [
      { service: 'web', weight: 1 },
      { service: 'v2', weight },
    ],
    matches: [{ kind: 'HTTPRouteGroup', name: 'beta' }],
  },
});
const group = (pathRegex: string) => ({
  apiVersion: 'specs.smi-spec.io/v1alpha4',
  kind: 'HTTPRouteGroup',
  metadata: demo('beta'),
  spec: { matches: [{ name: 'one', pathRegex }] },
});
const service = (name: string, clusterIP: string, ports: readonly object[] = [{ port: 80, targetPort: 8080 }]) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: demo(name),
  spec: { clusterIP, ports, selector: { app: name } },
});
const slice = (ready: boolean) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { ...demo('web'), labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: '', port: 8080 }],
  endpoints: [{ addresses: ['10.1.0.1'], conditions: { ready }, targetRef: { kind: 'Pod', name: 'web' } }],
});
const server = (accessPolicy: string) => ({
  apiVersion: 'policy.linkerd.io/v1beta3',
  kind: 'Server',
  metadata: demo('web'),
  spec: { podSelector: {}, port: 8080, accessPolicy },
});
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { ...demo('web'), labels: { app: 'web', 'weft.dev/proxy': 'default' } },
  spec: {},
  status: { phase: 'Running', podIPs: [{ ip: '10.1.0.1' }] },
};
const mesh = { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata: { name: 'default' } };

const BASE = snapshotOf([
  mesh,
  pod,
  service('web', '10.96.0.1'),
  service('v2', '10.96.0.2'),
  slice(true),
  split(1),
  group('/a'),
  server('deny'),
]).snapshot;
const NAMES = ['workload', 'outbound/10.96.0.1:80', 'endpoints/demo/web:80'];

function rendered(snapshot: Snapshot, before: readonly Rendered[] = []): readonly Rendered[] {
  const { plan } = compile(snapshot, OPTIONS);
  const who = whoIs(plan, podKey('demo', 'web'));
  if (who === undefined) throw new Error('the pod of this test has a mesh');
  return NAMES.map((name, index) => renderAgain({ plan, who, name }, before[index]));
}

describe('renderAgain makes new', () => {
  it.each<[string, SnapshotField, object, readonly string[]]>([
    ['the routes when a weight changes', 'trafficSplits', split(9), ['outbound/10.96.0.1:80']],
    ['the routes when a route group changes', 'httpRouteGroups', group('/b'), ['outbound/10.96.0.1:80']],
    [
      'the routes when a backend loses its port',
      'services',
      service('v2', '10.96.0.2', [{ port: 81 }]),
      ['outbound/10.96.0.1:80'],
    ],
    ['only the endpoints when one is no longer ready', 'endpointSlices', slice(false), ['endpoints/demo/web:80']],
    ['only the workload when a policy changes', 'servers', server('all-authenticated'), ['workload']],
  ])('%s', (_, field, change, wanted) => {
    const decoded = DECODERS[field](change);
    if (!decoded.ok) throw new Error(decoded.error.message);
    const before = rendered(BASE);
    const changed = { ...BASE, [field]: new Map<unknown, unknown>(BASE[field]).set(decoded.value.key, decoded.value) };
    const after = rendered(changed, before);
    expect(NAMES.filter((__, index) => after[index]?.resource?.version !== before[index]?.resource?.version)).toEqual(
      wanted,
    );
  });

  it('nothing when nothing changes', () => {
    const before = rendered(BASE);
    rendered({ ...BASE }, before).forEach((again, index) => expect(again).toBe(before[index]));
  });

  it('not the routes when endpoints come and go', () => {
    const before = rendered(BASE);
    const decoded = DECODERS.endpointSlices(slice(false));
    const slices = new Map(BASE.endpointSlices);
    if (decoded.ok) slices.set(decoded.value.key, decoded.value);
    const after = rendered({ ...BASE, endpointSlices: slices }, before);
    expect([after[0] === before[0], after[1] === before[1], after[2] === before[2]]).toEqual([true, true, false]);
  });
});
