import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { eventually, startTestApi, stopTestApis, type TestApi } from '../kube/testing/api-server.ts';
import { crdOf, KINDS } from './index.ts';

type Json = Readonly<Record<string, unknown>>;

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const SPLIT = { metadata: { name: 'web' }, kind: 'TrafficSplit' };

/** Path of a kind in one version; namespaced kinds in `default`. */
function pathOf(kind: string, version?: string): string {
  const definition = KINDS.find(candidate => candidate.kind === kind);
  if (definition === undefined) throw new Error(`no kind ${kind}`);
  const served = version ?? definition.versions.find(candidate => candidate.storage === true)?.name ?? '';
  return `/apis/${definition.group}/${served}${definition.scope === 'Cluster' ? '' : '/namespaces/default'}/${definition.plural}`;
}

const specOf = (object: unknown): Json => (object as { spec: Json }).spec;

describe('the definitions, with a real API server', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi('crd-api-test');
    for (const definition of KINDS) await api.post(CRDS, crdOf(definition));
    for (const definition of KINDS) {
      await eventually(`${definition.kind} is served`, async () => {
        return api.get(pathOf(definition.kind)).then(
          () => true,
          () => false,
        );
      });
    }
  });
  afterAll(() => stopTestApis());

  it.each(KINDS.map(definition => [definition.kind, definition] as const))(
    '%s: is structural, and its example is stored as it is',
    async (kind, definition) => {
      const crd = (await api.get(`${CRDS}/${definition.plural}.${definition.group}`)) as {
        status?: { conditions: Json[] };
      };
      expect(crd.status?.conditions.filter(condition => condition['type'] === 'NonStructuralSchema')).toEqual([]);
      const example = parse(definition.example) as { metadata: Json; spec: Json };
      const stored = await api.post(pathOf(kind), { ...example, metadata: { name: 'example' } });
      expect(specOf(stored)).toMatchObject(example.spec);
    },
  );

  it('a MeshConfig without a spec gets every default', async () => {
    const stored = await api.post(pathOf('MeshConfig'), {
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'MeshConfig',
      metadata: { name: 'empty' },
    });
    expect(specOf(stored)).toMatchObject({
      trustDomain: 'cluster.local',
      identity: { mode: 'CertManager', issuerRef: { kind: 'ClusterIssuer' }, leafDuration: '24h' },
      proxy: { imagePullPolicy: 'IfNotPresent', resources: { requests: { cpu: '10m' } } },
    });
  });

  it('what one version of TrafficSplit writes every other reads, whole numbers, fractions and matches alike', async () => {
    const spec = {
      service: 'web',
      backends: [
        { service: 'a', weight: '500m' },
        { service: 'b', weight: 100 },
      ],
      matches: [{ kind: 'HTTPRouteGroup', name: 'beta' }],
    };
    await api.post(pathOf('TrafficSplit', 'v1alpha1'), { ...SPLIT, apiVersion: 'split.smi-spec.io/v1alpha1', spec });
    for (const version of ['v1alpha1', 'v1alpha2', 'v1alpha3', 'v1alpha4']) {
      expect(specOf(await api.get(`${pathOf('TrafficSplit', version)}/web`))).toEqual(spec);
    }
  });

  it('the status is a subresource: a write to the object leaves it alone', async () => {
    const path = `${pathOf('TrafficSplit')}/web`;
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: '',
      observedGeneration: 1,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    await api.merge(`${path}/status`, { status: { conditions: [condition] } });
    const written = await api.merge(path, { spec: { service: 'other' }, status: { conditions: [] } });
    expect(written).toMatchObject({ spec: { service: 'other' }, status: { conditions: [condition] } });
  });

  it.each([
    ['a negative weight', 'TrafficSplit', { service: 'web', backends: [{ service: 'a', weight: -1 }] }],
    ['a weight beyond all bounds', 'TrafficSplit', { service: 'web', backends: [{ service: 'a', weight: 9e12 }] }],
    ['a broken number as weight', 'TrafficSplit', { service: 'web', backends: [{ service: 'a', weight: 1.5 }] }],
    ['a text that is no quantity', 'TrafficSplit', { service: 'web', backends: [{ service: 'a', weight: '50%' }] }],
    ['a Server with an unknown protocol', 'Server', { podSelector: {}, port: 80, proxyProtocol: 'HTTP' }],
    ['a Server without a selector', 'Server', { port: 80 }],
    ['a Server with a port that is none', 'Server', { podSelector: {}, port: 70_000 }],
    [
      'a ServerAuthorization for both a name and a selector',
      'ServerAuthorization',
      { server: { name: 'a', selector: {} }, client: {} },
    ],
    [
      'a ServerAuthorization with an identity that can be none',
      'ServerAuthorization',
      { server: { name: 'a' }, client: { meshTLS: { identities: ['a..b'] } } },
    ],
    ['a TrafficPolicy for no Service', 'TrafficPolicy', { timeouts: { request: '1s' } }],
    ['a TrafficPolicy for a Pod', 'TrafficPolicy', { targetRef: { kind: 'Pod', name: 'web' } }],
    ['a duration without a unit', 'TrafficPolicy', { targetRef: { name: 'web' }, timeouts: { request: '5' } }],
    ['a word that is no reason to retry', 'TrafficPolicy', { targetRef: { name: 'web' }, retry: { httpOn: ['6xx'] } }],
    ['more tries than any server bears', 'TrafficPolicy', { targetRef: { name: 'web' }, retry: { limit: 11 } }],
    [
      'a fault without an end',
      'TrafficPolicy',
      { targetRef: { name: 'web' }, faults: [{ name: 'slow', delay: '1s' }] },
    ],
    ['two rules of one name', 'TrafficPolicy', { targetRef: { name: 'web' }, rules: [{ name: 'a' }, { name: 'a' }] }],
    ['a MeshConfig with an unknown transport', 'MeshConfig', { transport: 'Fast' }],
  ])('refuses %s without any webhook', async (_, kind, spec) => {
    const definition = KINDS.find(candidate => candidate.kind === kind);
    const version = definition?.versions.find(candidate => candidate.storage === true)?.name ?? '';
    const object = { apiVersion: `${definition?.group ?? ''}/${version}`, kind, metadata: { name: 'refused' }, spec };
    await expect(api.post(pathOf(kind), object)).rejects.toThrow(/422|invalid|Invalid/);
  });
});
