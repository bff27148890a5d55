import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { auditLog } from '../../e2e/cluster/index.ts';
import type { RawObject } from '../kube/index.ts';
import { eventually, forever, startTestApi, stopTestApis, type TestApi } from '../kube/testing/api-server.ts';
import { type Outside, startOutside } from '../reconcilers/canary/testing/outside.ts';
import { silentLogger } from '../runtime/index.ts';
import { createPromMetrics, type PromMetrics } from '../telemetry/index.ts';
import { type RunningCanaries, startCanaries } from './canaries.ts';
import { parseOptions } from './options.ts';
import { canaryRbac } from './rbac.ts';

// The process that runs canaries, under exactly the rights that it says it needs. There are no controllers here: the test stands in for the kubelet and
// for the mesh by writing the statuses that they would write.

const NAME = 'canaries-api-test';
const ACCOUNT = 'system:serviceaccount:weft-system:weft-canary';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/demo/deployments';
const SPLITS = '/apis/split.smi-spec.io/v1alpha4/namespaces/demo/trafficsplits';
const CANARIES = '/apis/weft.dev/v1alpha1/namespaces/demo/canaries';
const SERVICES = '/api/v1/namespaces/demo/services';

type Json = Readonly<Record<string, unknown>>;
interface Status {
  readonly phase?: string;
  readonly canaryWeight?: number;
  readonly failedChecks?: number;
  readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
}

let api: TestApi;
let outside: Outside;
let controller: RunningCanaries;
let metrics: PromMetrics;
let cluster: { stop(): Promise<void>; readonly weights: Map<string, number[]> };

const exists = (path: string): Promise<boolean> =>
  api.get(path).then(
    () => true,
    () => false,
  );
const statusOf = async (name: string): Promise<Status> => (await api.get(`${CANARIES}/${name}`))['status'] ?? {};
const phaseIs = (name: string, phase: string) =>
  eventually(`${name} is ${phase}`, async () => (await statusOf(name)).phase === phase, 60_000);
const replicasOf = async (name: string): Promise<number> =>
  ((await api.get(`${DEPLOYMENTS}/${name}`))['spec'] as { replicas: number }).replicas;
const imageOf = async (name: string): Promise<string> => {
  const spec = (await api.get(`${DEPLOYMENTS}/${name}`))['spec'] as {
    template: { spec: { containers: { image: string }[] } };
  };
  return spec.template.spec.containers[0]?.image ?? '';
};
const selectorOf = async (name: string): Promise<unknown> =>
  ((await api.get(`${SERVICES}/${name}`))['spec'] as Json)['selector'];

async function patchStatus(path: string, status: object): Promise<void> {
  await api.client.request({
    method: 'PATCH',
    path: `${path}/status`,
    contentType: 'application/merge-patch+json',
    body: { status },
    signal: forever,
  });
}

/** Every pod is ready at once, and every proxy has every split at once. */
function startCluster(): typeof cluster {
  const weights = new Map<string, number[]>();
  const stopped = new AbortController();
  const settle = async (): Promise<void> => {
    for (const { metadata, spec, status } of await items(DEPLOYMENTS)) {
      const replicas = (spec as { replicas: number }).replicas;
      const seen = (status ?? {}) as Json;
      if (seen['observedGeneration'] === metadata['generation'] && (seen['replicas'] ?? 0) === replicas) continue;
      const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
      await patchStatus(`${DEPLOYMENTS}/${metadata.name}`, { ...counts, observedGeneration: metadata['generation'] });
    }
    for (const { metadata, spec, status } of await items(SPLITS)) {
      const known = weights.get(metadata.name) ?? [];
      const weight = (spec as { backends: { weight: number }[] }).backends[0]?.weight ?? 0;
      if (known.at(-1) !== weight) weights.set(metadata.name, [...known, weight]);
      const observedGeneration = metadata['generation'];
      const [first] = ((status ?? {}) as { conditions?: { observedGeneration: unknown }[] }).conditions ?? [];
      if (first?.observedGeneration === observedGeneration) continue;
      const common = { status: 'True', message: '', observedGeneration, lastTransitionTime: new Date().toISOString() };
      const conditions = ['Accepted', 'ResolvedRefs', 'Programmed'].map(type => ({ ...common, type, reason: type }));
      await patchStatus(`${SPLITS}/${metadata.name}`, { conditions });
    }
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      // Somebody else wrote meanwhile: the next round sees it.
      await settle().catch(() => undefined);
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  })();
  return {
    weights,
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

const items = async (path: string): Promise<readonly RawObject[]> =>
  ((await api.get(path)) as unknown as { items: RawObject[] }).items;

async function start(...flags: string[]): Promise<void> {
  const token = (
    (
      await api.post('/api/v1/namespaces/weft-system/serviceaccounts/weft-canary/token', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 3_600 },
      })
    )['status'] as { token: string }
  ).token;
  const kubeConfig = new KubeConfig();
  const server = api.kubeConfig.getCurrentCluster();
  if (server === null) throw new Error('the kubeconfig names no cluster');
  kubeConfig.loadFromClusterAndUser(server, { name: 'canary', token });
  const given = ['--controllers=canary', '--admin-port=0', `--metrics-server=${outside.url}`, ...flags];
  const parsed = parseOptions(given, {});
  if (!parsed.ok || parsed.value.kind !== 'run') throw new Error('the options do not parse');
  metrics = createPromMetrics({ processMetrics: false });
  controller = await startCanaries({
    options: parsed.value.options,
    kubeConfig,
    clock: { nowMs: () => Date.now() },
    log: silentLogger,
    metrics,
    random: Math.random,
  });
}

function target(name: string): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'demo' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          containers: [{ name: 'app', image: 'app:1', envFrom: [{ secretRef: { name: 'settings' } }] }],
          volumes: [{ name: 'files', configMap: { name: 'files', optional: true } }],
        },
      },
    },
  };
}

const canary = (name: string, more: object = {}, analysis: object = {}): object => ({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'Canary',
  metadata: { name, namespace: 'demo' },
  spec: {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    service: { port: 9898 },
    revertOnDeletion: true,
    ...more,
    analysis: {
      interval: '1s',
      threshold: 2,
      stepWeights: [10, 40],
      metrics: [
        { name: 'request-success-rate', thresholdRange: { min: 99 } },
        { name: 'request-duration', thresholdRange: { max: 500 } },
      ],
      webhooks: [{ name: 'load', url: `${outside.url}/hook` }],
      alerts: [{ name: 'team', severity: 'error', providerRef: { name: 'team' } }],
      ...analysis,
    },
  },
});

const setImage = (name: string, image: string) =>
  api.merge(`${DEPLOYMENTS}/${name}`, {
    spec: {
      template: { spec: { containers: [{ name: 'app', image, envFrom: [{ secretRef: { name: 'settings' } }] }] } },
    },
  });

async function written(): Promise<number> {
  const { text } = await metrics.expose();
  const lines = text.split('\n').filter(line => /^weft_(kube|status)_writes_total\{.*result="written"/.test(line));
  return lines.map(line => Number(line.split(' ').at(-1))).reduce((sum, value) => sum + value, 0);
}

async function createRights(): Promise<void> {
  const metadata = { name: 'weft-canary' };
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await api.post('/api/v1/namespaces/weft-system/serviceaccounts', { metadata });
  const rules = canaryRbac.map(({ apiGroups, resources, verbs }) => ({ apiGroups, resources, verbs }));
  await api.post(`${rbac}/clusterroles`, { metadata, rules });
  const subjects = [{ kind: 'ServiceAccount', name: 'weft-canary', namespace: 'weft-system' }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'weft-canary' };
  await api.post(`${rbac}/clusterrolebindings`, { metadata, roleRef, subjects });
}

describe('canaries, with a real API server', () => {
  beforeAll(async () => {
    api = await startTestApi(NAME, { audit: true });
    const folder = join(import.meta.dirname, '../../crds');
    for (const file of await readdir(folder)) await api.post(CRDS, parse(await readFile(join(folder, file), 'utf8')));
    for (const name of ['weft-system', 'demo']) await api.post('/api/v1/namespaces', { metadata: { name } });
    await createRights();
    await eventually('the definitions are served', async () => (await exists(CANARIES)) && (await exists(SPLITS)));
    outside = await startOutside();
    await api.post('/api/v1/namespaces/demo/secrets', {
      metadata: { name: 'settings' },
      stringData: { colour: 'blue' },
    });
    await api.post('/api/v1/namespaces/demo/configmaps', { metadata: { name: 'files' }, data: { size: 'large' } });
    await api.post('/apis/weft.dev/v1alpha1/namespaces/demo/alertproviders', {
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'AlertProvider',
      metadata: { name: 'team' },
      spec: { type: 'webhook', address: `${outside.url}/alert` },
    });
    cluster = startCluster();
    await start();
  });

  afterAll(() =>
    stopTestApis(
      () => controller.stop('test'),
      () => cluster.stop(),
      () => outside.close(),
    ),
  );

  it('makes a primary, and has it serve before the target is scaled to zero', async () => {
    await api.post(SERVICES, {
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ name: 'web', port: 9898 }] },
    });
    await api.post(DEPLOYMENTS, target('web'));
    await api.post(CANARIES, canary('web'));
    await phaseIs('web', 'Initialized');
    expect([await replicasOf('web'), await replicasOf('web-primary')]).toEqual([0, 2]);
    expect(await selectorOf('web')).toMatchObject({ app: 'web-primary' });
    expect(await selectorOf('web-canary')).toEqual({ app: 'web' });
    const { ports } = (await api.get(`${SERVICES}/web`))['spec'] as { ports: { name: string }[] };
    expect(ports.map(({ name }) => name)).toEqual(['web']);
    const copy = await api.get('/api/v1/namespaces/demo/secrets/settings-primary');
    expect(copy['data']).toEqual({ colour: Buffer.from('blue').toString('base64') });
    expect((await api.get('/api/v1/namespaces/demo/configmaps/files-primary'))['data']).toEqual({ size: 'large' });
    const primary = JSON.stringify((await api.get(`${DEPLOYMENTS}/web-primary`))['spec']);
    expect(primary).toContain('"secretRef":{"name":"settings-primary"}');
    expect((await statusOf('web')).conditions).toContainEqual(
      expect.objectContaining({ type: 'Promoted', status: 'True', reason: 'Initialized' }),
    );
  });

  it('writes nothing when it looks again and nothing has changed', async () => {
    const look = async (value: string) => {
      const before = Number(
        /weft_reconcile_total\{controller="canary",result="done"\} (\d+)/.exec((await metrics.expose()).text)?.[1],
      );
      await api.merge(`${CANARIES}/web`, { metadata: { annotations: { touched: value } } });
      await eventually('it has looked', async () => {
        const { text } = await metrics.expose();
        return Number(/weft_reconcile_total\{controller="canary",result="done"\} (\d+)/.exec(text)?.[1]) > before;
      });
    };
    await look('once');
    const before = await written();
    await look('twice');
    expect(await written()).toBe(before);
    // The same count does move when there is something to write.
    await api.merge(`${SERVICES}/web-canary`, { spec: { selector: { app: 'stolen' } } });
    await eventually(
      'the selector is repaired',
      async () => JSON.stringify(await selectorOf('web-canary')) === '{"app":"web"}',
    );
    expect(await written()).toBeGreaterThan(before);
  });

  it('promotes a good revision by its steps', async () => {
    cluster.weights.delete('web');
    await setImage('web', 'app:2');
    await phaseIs('web', 'Succeeded');
    expect([await imageOf('web-primary'), await replicasOf('web')]).toEqual(['app:2', 0]);
    expect(cluster.weights.get('web')).toEqual([0, 10, 40, 0]);
    const hook = outside.calls.find(({ path }) => path === '/hook');
    expect(hook?.body).toMatchObject({ name: 'web', namespace: 'demo', phase: 'Progressing', metadata: {} });
  });

  it('rolls a bad revision back, says why, and tells it', async () => {
    outside.successRate = 50;
    await setImage('web', 'app:3');
    await phaseIs('web', 'Failed');
    await eventually('the canary is scaled to zero', async () => (await replicasOf('web')) === 0, 60_000);
    expect(await imageOf('web-primary')).toBe('app:2');
    expect(await statusOf('web')).toMatchObject({ phase: 'Failed', failedChecks: 2, canaryWeight: 0 });
    expect((await statusOf('web')).conditions).toContainEqual(
      expect.objectContaining({ type: 'Promoted', status: 'False', reason: 'Failed' }),
    );
    await eventually('the alert has come', () => outside.calls.some(({ path }) => path === '/alert'));
    const alert = outside.calls.find(({ path }) => path === '/alert');
    expect(alert?.body).toMatchObject({
      severity: 'error',
      message: expect.stringContaining('success rate 50% < 99%'),
    });
    outside.successRate = 100;
  });

  it('goes on where it stood when the process is started anew in the middle of a run', async () => {
    cluster.weights.delete('web');
    await setImage('web', 'app:4');
    await eventually('the first step is taken', async () => (await statusOf('web')).canaryWeight === 10, 60_000);
    await controller.stop('in the middle of a run');
    await start();
    await phaseIs('web', 'Succeeded');
    expect(await imageOf('web-primary')).toBe('app:4');
    expect(cluster.weights.get('web')).toEqual([0, 10, 40, 0]);
  });

  it('gives everything back when it is deleted', async () => {
    await api.delete(`${CANARIES}/web`);
    await eventually('the Canary is gone', async () => !(await exists(`${CANARIES}/web`)), 60_000);
    expect(await selectorOf('web')).toEqual({ app: 'web' });
    expect([await replicasOf('web'), await imageOf('web')]).toEqual([2, 'app:4']);
  });

  it('refuses what it cannot do, with the field and the remedy, and leaves the target alone', async () => {
    await api.post(DEPLOYMENTS, target('mirrored'));
    await api.post(CANARIES, canary('mirrored', {}, { mirror: true }));
    const accepted = async () => (await statusOf('mirrored')).conditions?.find(({ type }) => type === 'Accepted');
    await eventually('it is judged', async () => (await accepted())?.status === 'False');
    expect((await accepted())?.message).toContain('spec.analysis.mirror requests are not mirrored');
    expect([await replicasOf('mirrored'), await exists(`${DEPLOYMENTS}/mirrored-primary`)]).toEqual([2, false]);
  });

  it('leaves to others what is of another class, and what others have made', async () => {
    await api.post(DEPLOYMENTS, target('other'));
    const object = canary('other') as { metadata: object };
    await api.post(CANARIES, {
      ...object,
      metadata: { ...object.metadata, annotations: { 'weft.dev/canary-class': 'b' } },
    });
    await api.post(DEPLOYMENTS, target('taken'));
    await api.post(DEPLOYMENTS, { ...target('taken-primary') });
    await api.post(CANARIES, canary('taken'));
    const accepted = async () => (await statusOf('taken')).conditions?.find(({ type }) => type === 'Accepted');
    await eventually('it is judged', async () => (await accepted())?.reason === 'Conflicted');
    expect((await accepted())?.message).toContain('Deployment taken-primary exists and is not of this Canary');
    expect((await statusOf('other')).phase).toBeUndefined();
  });

  it('tests A/B with a route group, and copies an autoscaler', async () => {
    await api.post(DEPLOYMENTS, target('ab'));
    await api.post('/apis/autoscaling/v2/namespaces/demo/horizontalpodautoscalers', {
      metadata: { name: 'ab' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'ab' },
        minReplicas: 2,
        maxReplicas: 4,
      },
    });
    const more = {
      autoscalerRef: { kind: 'HorizontalPodAutoscaler', name: 'ab', primaryScalerReplicas: { maxReplicas: 9 } },
    };
    const match = [{ headers: { 'x-canary': { exact: 'a.b' } } }];
    await api.post(CANARIES, canary('ab', more, { stepWeights: undefined, iterations: 2, match }));
    await phaseIs('ab', 'Initialized');
    const group = await api.get('/apis/specs.smi-spec.io/v1alpha4/namespaces/demo/httproutegroups/ab');
    expect(group['spec']).toEqual({ matches: [{ name: 'match-0', headers: { 'x-canary': 'a\\.b' } }] });
    expect((await api.get(`${SPLITS}/ab`))['spec']).toMatchObject({
      matches: [{ kind: 'HTTPRouteGroup', name: 'ab' }],
    });
    const scaler = await api.get('/apis/autoscaling/v2/namespaces/demo/horizontalpodautoscalers/ab-primary');
    expect(scaler['spec']).toMatchObject({ minReplicas: 2, maxReplicas: 9, scaleTargetRef: { name: 'ab-primary' } });
    await setImage('ab', 'app:2');
    await phaseIs('ab', 'Succeeded');
    expect(cluster.weights.get('ab')).toEqual([0, 100, 0]);
  });

  it('asks for a metric by a template with a Secret', async () => {
    await api.post('/apis/weft.dev/v1alpha1/namespaces/demo/metrictemplates', {
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'MetricTemplate',
      metadata: { name: 'errors' },
      spec: {
        provider: { type: 'prometheus', address: outside.url, secretRef: { name: 'prometheus' } },
        query: 'errors{target="{{ target }}"}[{{ interval }}]',
      },
    });
    await api.post('/api/v1/namespaces/demo/secrets', { metadata: { name: 'prometheus' }, stringData: { token: 't' } });
    await api.post(DEPLOYMENTS, target('templated'));
    const metrics_ = [{ name: 'errors', templateRef: { name: 'errors' }, thresholdRange: { max: 100 } }];
    await api.post(CANARIES, canary('templated', {}, { metrics: metrics_, stepWeights: [50] }));
    await phaseIs('templated', 'Initialized');
    await setImage('templated', 'app:2');
    await phaseIs('templated', 'Succeeded');
    expect(
      outside.queries.filter(({ authorization }) => authorization === 'Bearer t').map(({ query }) => query),
    ).toContain('errors{target="templated"}[1m]');
  });

  it('was refused nothing by the API server, and was granted nothing that it did not ask for', async () => {
    const lines = (await readFile(auditLog(NAME), 'utf8')).trim().split('\n');
    const asked = lines
      .map(line => JSON.parse(line) as AuditEvent)
      .filter(({ user, objectRef }) => user?.username === ACCOUNT && objectRef?.resource !== undefined);
    const described = ({ verb, objectRef = {} }: AuditEvent): string =>
      [verb, [objectRef.resource, objectRef.subresource].filter(part => part !== undefined).join('/')].join(' ');
    const refused = asked.filter(({ responseStatus }) => responseStatus?.code === 403);
    expect(refused.map(described)).toEqual([]);
    const seen = new Set(asked.map(described));
    const granted = canaryRbac
      .filter(({ unseen }) => unseen === undefined)
      .flatMap(({ resources, verbs }) => resources.flatMap(resource => verbs.map(verb => `${verb} ${resource}`)));
    // An apply that makes an object asks for both rights, and is written down as a patch.
    expect(granted.filter(one => !seen.has(one) && !one.startsWith('create ')).toSorted()).toEqual([]);
  });
});

interface AuditEvent {
  readonly verb: string;
  readonly user?: { readonly username?: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
}
