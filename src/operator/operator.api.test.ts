import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { makeCa, operatorServerName } from '../identity/index.ts';
import type { RawObject } from '../kube/index.ts';
import { eventually, forever, startTestApi, stopTestApis, type TestApi } from '../kube/testing/api-server.ts';
import { silentLogger } from '../runtime/index.ts';
import { createPromMetrics, type PromMetrics } from '../telemetry/index.ts';
import { type RunningOperator, startOperator } from './operator.ts';
import { parseOptions } from './options.ts';
import { badIssuers, goodIssuer } from './testing.ts';

const CRD_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const MESH_PATH = '/apis/weft.dev/v1alpha1/meshconfigs';
const SECRETS = '/api/v1/namespaces/weft-system/secrets';
const SPLITS = '/apis/split.smi-spec.io/v1alpha4/namespaces/demo/trafficsplits';
const MUTATING = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const VALIDATING = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const BUNDLE = '/api/v1/namespaces/demo/configmaps/weft-trust';
const CERTIFICATES = '/apis/cert-manager.io/v1/namespaces/weft-system/certificates';

interface Replica {
  readonly operator: RunningOperator;
  readonly metrics: PromMetrics;
}

type Fields = Readonly<Record<string, string | undefined>>;
interface ConditionFields extends Fields {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

const conditionOf = (object: RawObject, type: string): ConditionFields | undefined =>
  (object['status'] as { conditions?: ConditionFields[] } | undefined)?.conditions?.find(found => found.type === type);
const identityOf = (object: RawObject): Fields =>
  (object['status'] as { identity?: Fields } | undefined)?.identity ?? {};
const dataOf = (object: RawObject): Fields => (object['data'] ?? {}) as Fields;
const decoded = (value: string | undefined): string => Buffer.from(value ?? '', 'base64').toString('utf8');

/** Sum of all series of a metric whose labels hold `part`. */
async function sum(metrics: PromMetrics, name: string, part = ''): Promise<number> {
  const { text } = await metrics.expose();
  const lines = text
    .split('\n')
    .filter(line => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(part));
  return lines.map(line => Number(line.split(' ').at(-1))).reduce((total, value) => total + value, 0);
}

/** Resolves when a TLS server of that name shows a certificate that `ca` vouches for. */
function handshake(port: number, servername: string, ca: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca, ALPNProtocols: ['h2', 'http/1.1'] }, () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}

describe('the operator, with a real API server', () => {
  let api: TestApi;
  let first: Replica;
  const replicas: RunningOperator[] = [];
  const exists = (path: string): Promise<boolean> =>
    api.get(path).then(
      () => true,
      () => false,
    );

  async function start(podName: string): Promise<Replica> {
    const flags = [
      '--config-port=0',
      '--webhook-port=0',
      '--api-port=0',
      '--query-port=0',
      '--admin-port=0',
      '--peers-port=0',
      `--pod-name=${podName}`,
    ];
    const parsed = parseOptions(flags, {});
    if (!parsed.ok || parsed.value.kind !== 'run') throw new Error('the options do not parse');
    const metrics = createPromMetrics({ processMetrics: false });
    const clock = { nowMs: () => Date.now() };
    const { options } = parsed.value;
    const operator = await startOperator({
      options,
      kubeConfig: api.kubeConfig,
      clock,
      log: silentLogger,
      metrics,
      random: Math.random,
    });
    replicas.push(operator);
    return { operator, metrics };
  }

  async function configureWebhooks(): Promise<void> {
    const hook = (name: string) => ({
      name,
      clientConfig: { service: { name: 'weft-operator', namespace: 'weft-system', path: '/nothing' } },
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Ignore',
      rules: [{ apiGroups: ['nothing.dev'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['things'] }],
    });
    const metadata = { name: 'weft-webhooks' };
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const hooks = [hook('inject.weft.dev'), hook('normalise.weft.dev')];
    await api.post(MUTATING, { apiVersion, kind: 'MutatingWebhookConfiguration', metadata, webhooks: hooks });
    await api.post(VALIDATING, {
      apiVersion,
      kind: 'ValidatingWebhookConfiguration',
      metadata,
      webhooks: [hook('validate.weft.dev')],
    });
  }

  beforeAll(async () => {
    api = await startTestApi('operator-api-test');
    const folder = join(import.meta.dirname, '../../crds');
    for (const file of await readdir(folder))
      await api.post(CRD_PATH, parse(await readFile(join(folder, file), 'utf8')));
    for (const name of ['weft-system', 'demo']) {
      const annotations = name === 'demo' ? { 'weft.dev/inject': 'enabled' } : {};
      await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } });
    }
    await configureWebhooks();
    await eventually('the definitions are served', () => exists(MESH_PATH));
    const spec = { trustDomain: 'demo.example', identity: { mode: 'SelfManaged' } };
    await api.post(MESH_PATH, {
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'MeshConfig',
      metadata: { name: 'default' },
      spec,
    });
    first = await start('first');
    await eventually('the first replica is ready', () => first.operator.readiness.ready);
  });

  afterAll(() => stopTestApis(...replicas.map(replica => () => replica.stop('test'))));

  it('accepted every definition in crds/, with its structural schema', async () => {
    const list = (await api.get(CRD_PATH)) as unknown as { items: RawObject[] };
    expect(list.items.length).toBeGreaterThan(0);
    for (const crd of list.items) {
      expect(conditionOf(crd, 'Established')?.status).toBe('True');
      expect(conditionOf(crd, 'NonStructuralSchema')).toBeUndefined();
    }
  });

  it('makes root and issuer of a self-managed mesh, immutable, and names the one that signs in the status', async () => {
    await eventually(
      'the issuer is ready',
      async () => conditionOf(await api.get(`${MESH_PATH}/default`), 'IssuerReady')?.status === 'True',
    );
    const { activeIssuer, notAfter, nextIssuer } = identityOf(await api.get(`${MESH_PATH}/default`));
    expect(activeIssuer).toMatch(/^weft-issuer-default-[0-9a-f]{8}$/);
    expect(nextIssuer).toBeUndefined();
    expect(Date.parse(notAfter ?? '')).toBeGreaterThan(Date.now() + 300 * 86_400_000);
    const generation = await api.get(`${SECRETS}/${activeIssuer}`);
    const root = await api.get(`${SECRETS}/weft-root-default`);
    expect([generation['immutable'], root['immutable']]).toEqual([true, true]);
    expect(dataOf(generation)['ca.crt']).toBe(dataOf(root)['tls.crt']);
    const all = (await api.get(`${SECRETS}?labelSelector=weft.dev/issuer`)) as unknown as { items: RawObject[] };
    expect(all.items.map(({ metadata }) => metadata.name).toSorted()).toEqual([activeIssuer, 'weft-root-default']);
  });

  it('serves proxies with a certificate of that issuer', async () => {
    const root = decoded(dataOf(await api.get(`${SECRETS}/weft-root-default`))['tls.crt']);
    await handshake(first.operator.ports.config, operatorServerName('default'), root);
    const other = await makeCa({ commonName: 'other', nowMs: Date.now(), validForMs: 3_600_000 });
    await expect(
      handshake(first.operator.ports.config, operatorServerName('default'), other.certificatePem),
    ).rejects.toThrow(/certificate/);
  });

  it('gives meshed namespaces the trust bundle, restores it, and takes it away from namespaces that leave', async () => {
    const root = decoded(dataOf(await api.get(`${SECRETS}/weft-root-default`))['tls.crt']);
    await eventually('the bundle is there', () => exists(BUNDLE));
    expect(dataOf(await api.get(BUNDLE))['ca.crt']).toBe(root);
    await api.merge(BUNDLE, { data: { 'ca.crt': 'spoilt' } });
    await eventually('the bundle is restored', async () => dataOf(await api.get(BUNDLE))['ca.crt'] === root);
    await api.merge('/api/v1/namespaces/demo', { metadata: { annotations: { 'weft.dev/inject': 'disabled' } } });
    await eventually('the bundle is gone', async () => !(await exists(BUNDLE)));
    await api.merge('/api/v1/namespaces/demo', { metadata: { annotations: { 'weft.dev/inject': 'enabled' } } });
    await eventually('the bundle is back', () => exists(BUNDLE));
    expect(await exists('/api/v1/namespaces/default/configmaps/weft-trust')).toBe(false);
  });

  it('makes the serving certificate and tells the API server its CA, again when somebody spoils it', async () => {
    type Hooks = { clientConfig: { caBundle?: string; service: { path: string } }; sideEffects: string }[];
    const hooks = async (): Promise<Hooks> => [
      ...((await api.get(`${MUTATING}/weft-webhooks`))['webhooks'] as Hooks),
      ...((await api.get(`${VALIDATING}/weft-webhooks`))['webhooks'] as Hooks),
    ];
    const ca = dataOf(await api.get(`${SECRETS}/weft-webhook-tls`))['ca.crt'] ?? '';
    await eventually('every hook has the bundle', async () =>
      (await hooks()).every(hook => hook.clientConfig.caBundle === ca),
    );
    expect((await hooks()).map(hook => hook.clientConfig.service.path)).toEqual(['/nothing', '/nothing', '/nothing']);
    for (const port of [first.operator.ports.webhook, first.operator.ports.api]) {
      await handshake(port, 'weft-operator.weft-system.svc', decoded(ca));
    }
    const patch = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }];
    await api.client.request({
      method: 'PATCH',
      path: `${MUTATING}/weft-webhooks`,
      body: patch,
      contentType: 'application/json-patch+json',
      signal: forever,
    });
    await eventually('the bundle is back', async () =>
      (await hooks()).every(hook => hook.clientConfig.caBundle === ca),
    );
  });

  it('writes conditions, and flips them when what an object refers to appears', async () => {
    const spec = {
      service: 'web',
      backends: [
        { service: 'web-v1', weight: 90 },
        { service: 'web-v2', weight: 10 },
      ],
    };
    await api.post(SPLITS, {
      apiVersion: 'split.smi-spec.io/v1alpha4',
      kind: 'TrafficSplit',
      metadata: { name: 'web' },
      spec,
    });
    const split = () => api.get(`${SPLITS}/web`);
    await eventually(
      'the missing Services are told',
      async () => conditionOf(await split(), 'Ready')?.status === 'False',
    );
    const before = conditionOf(await split(), 'Ready');
    expect(before).toMatchObject({ observedGeneration: 1 });
    for (const name of ['web', 'web-v1', 'web-v2']) {
      const ports = [{ port: 80 }];
      await api.post('/api/v1/namespaces/demo/services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { ports },
      });
    }
    await eventually('the split is ready', async () => conditionOf(await split(), 'Ready')?.status === 'True');
    expect(conditionOf(await split(), 'Programmed')).toMatchObject({ status: 'True', reason: 'NoProxyNeedsIt' });
    await api.delete('/api/v1/namespaces/demo/services/web');
    await eventually('the split is not ready', async () => conditionOf(await split(), 'Ready')?.status === 'False');
  });

  it('writes nothing when everything is as it should be', async () => {
    const watched = [
      `${MESH_PATH}/default`,
      `${SPLITS}/web`,
      BUNDLE,
      `${SECRETS}/weft-webhook-tls`,
      `${MUTATING}/weft-webhooks`,
      `${VALIDATING}/weft-webhooks`,
    ];
    const versions = () => Promise.all(watched.map(async path => (await api.get(path)).metadata.resourceVersion));
    const writes = async () =>
      (await sum(first.metrics, 'weft_kube_writes_total', 'result="written"')) +
      (await sum(first.metrics, 'weft_status_writes_total', 'result="written"'));
    const runs = () => sum(first.metrics, 'weft_reconcile_total', 'result=');
    const settled = async (): Promise<void> => {
      let last = -1;
      await eventually('the controllers are idle', async () => {
        const now = await runs();
        const same = now === last && (await sum(first.metrics, 'weft_workqueue_depth')) === 0;
        last = now;
        return same;
      });
    };
    await settled();
    const before = { versions: await versions(), writes: await writes(), runs: await runs() };
    first.operator.resync();
    await eventually('everything was looked at again', async () => (await runs()) >= before.runs + 5);
    await settled();
    expect({ versions: await versions(), writes: await writes() }).toEqual({
      versions: before.versions,
      writes: before.writes,
    });
  });

  describe('a mesh under cert-manager', () => {
    const mesh = () => api.get(`${MESH_PATH}/managed`);
    const issuerReady = async () => conditionOf(await mesh(), 'IssuerReady');

    it('says that cert-manager is missing, and goes on once its kinds appear', async () => {
      const spec = { trustDomain: 'managed.example' };
      await api.post(MESH_PATH, {
        apiVersion: 'weft.dev/v1alpha1',
        kind: 'MeshConfig',
        metadata: { name: 'managed' },
        spec,
      });
      await eventually(
        'the missing cert-manager is told',
        async () => (await issuerReady())?.reason === 'CertManagerMissing',
      );
      expect(conditionOf(await api.get(`${MESH_PATH}/default`), 'IssuerReady')?.status).toBe('True');
      const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
      await api.post(CRD_PATH, {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: {
          name: 'certificates.cert-manager.io',
          annotations: { 'api-approved.kubernetes.io': 'unapproved, test' },
        },
        spec: {
          group: 'cert-manager.io',
          scope: 'Namespaced',
          names: { kind: 'Certificate', plural: 'certificates', singular: 'certificate', listKind: 'CertificateList' },
          versions: [{ name: 'v1', served: true, storage: true, schema }],
        },
      });
      await eventually('the Certificate is written', () => exists(`${CERTIFICATES}/weft-issuer-managed`), 30_000);
      expect((await api.get(`${CERTIFICATES}/weft-issuer-managed`))['spec']).toMatchObject({
        isCA: true,
        secretName: 'weft-issuer-managed',
        issuerRef: { kind: 'ClusterIssuer', name: 'weft-trust-anchor' },
      });
      await eventually('it waits for cert-manager', async () => (await issuerReady())?.reason === 'IssuerPending');
    }, 90_000);

    it('copies what cert-manager wrote, refuses what cannot sign, and trusts a new root before it signs with it', async () => {
      const labels = { 'weft.dev/issuer': 'managed', 'weft.dev/issuer-role': 'source' };
      const one = await goodIssuer('one');
      await api.post(SECRETS, {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { name: 'weft-issuer-managed', labels },
        data: one.data,
      });
      await eventually('the first issuer signs', async () => (await issuerReady())?.reason === 'Issued');
      const { activeIssuer } = identityOf(await mesh());
      expect((await api.get(`${SECRETS}/${activeIssuer}`))['immutable']).toBe(true);
      expect(dataOf(await api.get(`${SECRETS}/${activeIssuer}`))).toEqual(one.data);

      for (const { name, data, says } of await badIssuers(one.data)) {
        await api.merge(`${SECRETS}/weft-issuer-managed`, { data });
        await eventually(`${name} is told`, async () => {
          const { reason, message = '' } = (await issuerReady()) ?? {};
          return reason === 'RenewalFailing' && message.includes(says);
        });
        expect(identityOf(await mesh())['activeIssuer'], name).toBe(activeIssuer);
      }
      await api.merge(`${SECRETS}/weft-issuer-managed`, { data: one.data });
      await eventually('a good one is good again', async () => (await issuerReady())?.reason === 'Issued');
      await api.delete(`${SECRETS}/weft-issuer-managed`);
      await eventually('a Secret that vanished is told', async () => {
        const { reason, message = '' } = (await issuerReady()) ?? {};
        return reason === 'RenewalFailing' && message.includes('is not issued');
      });
      expect(identityOf(await mesh())['activeIssuer']).toBe(activeIssuer);
      expect(dataOf(await api.get(`${SECRETS}/${activeIssuer}`)), 'the last good stays').toEqual(one.data);
      await api.post(SECRETS, {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { name: 'weft-issuer-managed', labels },
        data: one.data,
      });
      await eventually('it is back', async () => (await issuerReady())?.reason === 'Issued');

      const two = await goodIssuer('two');
      await api.merge(`${SECRETS}/weft-issuer-managed`, { data: two.data });
      await eventually('the second issuer waits', async () => (await issuerReady())?.reason === 'Rotating');
      const identity = identityOf(await mesh());
      expect(identity['activeIssuer']).toBe(activeIssuer);
      expect(identity['nextIssuer']).not.toBe(activeIssuer);
      await api.merge('/api/v1/namespaces/demo', { metadata: { labels: { 'weft.dev/mesh': 'managed' } } });
      await eventually('both roots are trusted', async () => {
        const bundle = dataOf(await api.get(BUNDLE))['ca.crt'] ?? '';
        return bundle.includes(one.root.trim()) && bundle.includes(two.root.trim());
      });
    });
  });

  it('tells as an event what a user must act on, once, and that it is over', async () => {
    const events = async (): Promise<readonly Fields[]> =>
      ((await api.get('/apis/events.k8s.io/v1/namespaces/demo/events')) as unknown as { items: Fields[] }).items.filter(
        ({ regarding }) => (regarding as unknown as Fields)['name'] === 'twice',
      );
    const backends = ['a', 'b', 'a'].map(service => ({ service, weight: 1 }));
    await api.post(SPLITS, {
      apiVersion: 'split.smi-spec.io/v1alpha4',
      kind: 'TrafficSplit',
      metadata: { name: 'twice' },
      spec: { service: 'root', backends },
    });
    await eventually('the refusal is told', async () => (await events()).length > 0);
    expect(await events()).toMatchObject([
      { type: 'Warning', reason: 'DuplicateBackend', reportingController: 'weft.dev/operator' },
    ]);
    await api.merge(`${SPLITS}/twice`, { spec: { backends: backends.slice(0, 2) } });
    await eventually('the end of it is told', async () => (await events()).length > 1);
    expect(new Set((await events()).map(({ type }) => type))).toEqual(new Set(['Normal', 'Warning']));
    await api.delete(`${SPLITS}/twice`);
  });

  it('hands over to a second replica, which serves all the time and writes only then', async () => {
    const second = await start('second');
    await eventually('the second replica is ready', () => second.operator.readiness.ready);
    expect([first.operator.leading(), second.operator.leading()]).toEqual([true, false]);
    expect(await sum(second.metrics, 'weft_kube_writes_total', 'result="written"')).toBe(0);
    expect(await first.operator.stop('handover')).toEqual([]);
    await eventually('the second replica leads', () => second.operator.leading());
    await api.merge('/api/v1/namespaces/demo', { metadata: { labels: { 'weft.dev/mesh': 'default' } } });
    const root = decoded(dataOf(await api.get(`${SECRETS}/weft-root-default`))['tls.crt']);
    await eventually('the second replica writes', async () => dataOf(await api.get(BUNDLE))['ca.crt'] === root);
    expect(await sum(second.metrics, 'weft_kube_writes_total', 'result="written"')).toBeGreaterThan(0);
    expect(await second.operator.stop('test')).toEqual([]);
  });
});
