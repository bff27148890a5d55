import { describe, expect, it } from 'vitest';
import type { RawObject } from '../../../kube/index.ts';
import { ok } from '../../../kernel/index.ts';
import { canariesOf, decodeCanary, decodeRelated } from '../map.ts';
import type { CanaryObject, TrackedConfig } from '../observed.ts';
import { type CanaryPlan, planOf } from '../plan.ts';
import { revisionOf } from '../revision.ts';
import { DEPLOYMENTS } from '../types.ts';
import { configReferences } from './configs.ts';
import { primaryDeployment } from './primary.ts';
import { apexService, canaryService, givenBack, primaryService } from './services.ts';
import type { Subject } from './subject.ts';

type Json = Readonly<Record<string, unknown>>;

function planFor(service: object): CanaryPlan {
  const targetRef = { kind: 'Deployment', name: 'web' };
  const plan = planOf(
    'demo',
    { targetRef, service, analysis: { interval: '1m', threshold: 1, stepWeight: 10 } },
    'web',
  );
  if (!plan.ok) throw new Error(JSON.stringify(plan.error));
  return plan.value;
}

function aDeployment(spec: object, template: object = {}, labels: object = { app: 'web', tier: 'front' }): RawObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'demo', generation: 1 },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels: { ...labels, extra: 'x' } }, spec: template },
      ...spec,
    },
  };
}

function subjectOf(target: RawObject, service: object = { port: 80 }): Subject {
  const plan = planFor(service);
  const canary = { namespace: 'demo', name: 'web', uid: 'u1', plan: ok(plan) } as unknown as CanaryObject;
  return { canary, plan, target };
}

const config = (kind: 'ConfigMap' | 'Secret', name: string): TrackedConfig => ({
  kind,
  name,
  raw: { apiVersion: 'v1', kind, metadata: { name } },
  hash: 'h',
  copy: undefined,
});
const specOf = (object: RawObject): Json => object['spec'] as Json;

describe('the primary', () => {
  const template = {
    initContainers: [{ name: 'i', env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'key', key: 'k' } } }] }],
    containers: [{ name: 'app', envFrom: [{ configMapRef: { name: 'env' } }, { secretRef: { name: 'missing' } }] }],
    volumes: [
      { name: 'v', configMap: { name: 'files' } },
      { name: 's', secret: { secretName: 'tls' } },
      { name: 'p', projected: { sources: [{ configMap: { name: 'part' } }, { serviceAccountToken: { path: 't' } }] } },
    ],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: 'zone',
            labelSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'db'] }] },
          },
        ],
      },
      podAffinity: { kept: true },
    },
    topologySpreadConstraints: [{ topologyKey: 'node', labelSelector: { matchLabels: { app: 'web', tier: 'front' } } }],
  };
  const target = aDeployment({ strategy: { type: 'RollingUpdate' }, paused: true }, template);
  const configs = [
    config('Secret', 'key'),
    config('ConfigMap', 'env'),
    config('ConfigMap', 'files'),
    config('Secret', 'tls'),
    config('ConfigMap', 'part'),
  ];
  const made = primaryDeployment({ ...subjectOf(target), primary: undefined, configs, revision: 'r1' });

  it('has all labels of the target but one, so that neither selects the other’s pods', () => {
    const labels = { app: 'web-primary', tier: 'front', 'weft.dev/canary-role': 'primary' };
    expect(specOf(made)['selector']).toEqual({ matchLabels: labels });
    expect(specOf(made)).toMatchObject({ replicas: 3, strategy: { type: 'RollingUpdate' } });
    expect(specOf(made)).not.toHaveProperty('paused');
    expect((specOf(made)['template'] as Json)['metadata']).toEqual({
      labels: { ...labels, extra: 'x' },
      annotations: { 'weft.dev/canary-revision': 'r1' },
    });
  });

  it('names copies of what there are copies of, and keeps away from its own kind', () => {
    const text = JSON.stringify(specOf(made)['template']);
    for (const name of ['key', 'env', 'files', 'tls', 'part']) expect(text).toContain(`"${name}-primary"`);
    expect(text).toContain('"secretRef":{"name":"missing"}');
    expect(text).toContain('"values":["web-primary","db"]');
    expect(text).toContain('"labelSelector":{"matchLabels":{"app":"web-primary","tier":"front"}}');
    expect(text).toContain('"podAffinity":{"kept":true}');
  });

  it('keeps its number of pods while the target is scaled down', () => {
    const down = aDeployment({ replicas: 0 }, template);
    const primary = { ...made, spec: { ...specOf(made), replicas: 5 } };
    expect(specOf(primaryDeployment({ ...subjectOf(down), primary, configs, revision: 'r' }))['replicas']).toBe(5);
    const alone = primaryDeployment({ ...subjectOf(down), primary: undefined, configs, revision: 'r' });
    expect(specOf(alone)['replicas']).toBe(1);
  });

  it('is of a revision that is the template and the configs, not the number of pods', () => {
    const of = (deployment: RawObject, tracked = configs) => revisionOf({ target: deployment, configs: tracked });
    expect(of(aDeployment({ replicas: 9 }, template))).toBe(of(aDeployment({}, template)));
    expect(of(aDeployment({}, { ...template, hostNetwork: true }))).not.toBe(of(target));
    expect(of(target, configs.slice(1))).not.toBe(of(target));
  });

  it('is told from the target by another label where the usual ones are not there', () => {
    const odd = aDeployment({}, template, { component: 'web' });
    const other = primaryDeployment({ ...subjectOf(odd), primary: undefined, configs, revision: 'r' });
    expect(specOf(other)['selector']).toMatchObject({ matchLabels: { component: 'web-primary' } });
  });

  it('references each ConfigMap and Secret once', () => {
    const references = configReferences(specOf(target)['template'] as Json).map(({ kind, name }) => `${kind}/${name}`);
    expect(references).toEqual([
      'ConfigMap/env',
      'ConfigMap/files',
      'ConfigMap/part',
      'Secret/key',
      'Secret/missing',
      'Secret/tls',
    ]);
  });
});

describe('the Services', () => {
  const containers = [
    {
      name: 'app',
      ports: [
        { name: 'http', containerPort: 8080 },
        { containerPort: 9090 },
        { name: 'dns', containerPort: 53, protocol: 'UDP' },
      ],
    },
    { name: 'linkerd-proxy', ports: [{ name: 'admin', containerPort: 4191 }] },
  ];
  const target = aDeployment({}, { containers });

  it('select by all labels of their version', () => {
    const subject = subjectOf(target);
    expect(specOf(canaryService(subject))['selector']).toEqual({ app: 'web', tier: 'front' });
    expect(specOf(primaryService(subject))['selector']).toMatchObject({ app: 'web-primary', tier: 'front' });
  });

  it('have the ports of the containers when asked, not those of proxies', () => {
    const subject = subjectOf(target, { port: 80, targetPort: 'http', portDiscovery: true });
    const ports = specOf(primaryService(subject))['ports'] as { name: string; port: number }[];
    expect(ports.map(({ name, port }) => [name, port])).toEqual([
      ['http', 80],
      ['tcp-app-1', 9090],
    ]);
  });

  const users: RawObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'demo', uid: 's' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'web', port: 80 }], type: 'LoadBalancer' },
  };

  it('leave that of a user as it is but for its selector, which is given back', () => {
    const subject = subjectOf(target);
    const { object, own } = apexService(subject, users);
    expect(own).toBe(false);
    expect(specOf(object)).toEqual({
      selector: { app: 'web-primary', tier: 'front', 'weft.dev/canary-role': 'primary' },
    });
    const taken = {
      ...users,
      metadata: { ...users.metadata, ...object.metadata },
      spec: { ...specOf(users), ...specOf(object) },
    };
    expect(apexService(subject, taken).object).toEqual(object);
    expect(specOf(givenBack(subject, taken))).toEqual({ selector: { app: 'web' } });
  });

  it('add a port to that of a user where it is missing, and keep it there', () => {
    const subject = subjectOf(target, { port: 81 });
    const { object } = apexService(subject, users);
    const added = { name: 'http', port: 81, targetPort: 81, protocol: 'TCP' };
    expect(specOf(object)['ports']).toEqual([added]);
    const taken = { ...users, spec: { ...specOf(users), ports: [{ name: 'web', port: 80 }, added] } };
    expect(specOf(apexService(subject, taken).object)['ports']).toEqual([added]);
  });

  it('outlive the Canary where it made the one that clients call, when it gives back', () => {
    const subject = subjectOf(target);
    const { object, own } = apexService(subject, undefined);
    expect([own, object.metadata['ownerReferences']]).toEqual([true, [expect.objectContaining({ uid: 'u1' })]]);
    const back = givenBack(subject, object);
    expect(back.metadata).not.toHaveProperty('ownerReferences');
    expect(specOf(back)).toMatchObject({ selector: { app: 'web', tier: 'front' }, ports: [{ port: 80 }] });
  });
});

it('a change wakes the Canaries that it concerns, and no others', () => {
  const facts = (name: string, namespace = 'demo') => {
    const decoded = decodeCanary({
      metadata: { name, namespace },
      spec: { targetRef: { name: `${name}-app` }, service: { name } },
    });
    if (!decoded.ok) throw new Error('no name');
    return decoded.value;
  };
  const canaries = [facts('web'), facts('shop'), facts('web', 'other')];
  const wakes = (name: string, owner?: string): readonly string[] => {
    const ownerReferences =
      owner === undefined ? [] : [{ apiVersion: 'weft.dev/v1alpha1', kind: 'Canary', name: owner }];
    const related = decodeRelated(DEPLOYMENTS)({ metadata: { name, namespace: 'demo', ownerReferences } });
    return related.ok ? canariesOf(related.value, canaries) : [];
  };
  expect(wakes('web-app')).toEqual(['demo/web']);
  expect(wakes('web-app-primary')).toEqual(['demo/web']);
  expect(wakes('shop')).toEqual(['demo/shop']);
  expect(wakes('anything', 'web')).toEqual(['demo/web']);
  expect(wakes('anything')).toEqual([]);
});
