import { readdir, readFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { create, toBinary } from '@bufbuild/protobuf';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { auditLog } from '../../e2e/cluster/index.ts';
import { KINDS } from '../../src/api/index.ts';
import { IDENTITY_SERVICE } from '../../src/configserver/grpc-server.ts';
import { CertifyRequestSchema } from '../../src/gen/weft/identity/v1/identity_pb.ts';
import { issueIntermediate, makeCa, operatorServerName } from '../../src/identity/index.ts';
import type { RawObject } from '../../src/kube/index.ts';
import { eventually, startTestApi, stopTestApis, type TestApi } from '../../src/kube/testing/api-server.ts';
import { WATCHED_KINDS } from '../../src/model/kinds.ts';
import { type RunningOperator, startOperator } from '../../src/operator/operator.ts';
import { parseOptions } from '../../src/operator/options.ts';
import { rbac } from '../../src/operator/rbac.ts';
import { silentLogger } from '../../src/runtime/index.ts';
import { createPromMetrics } from '../../src/telemetry/index.ts';
import { helmTemplate, manifests } from './helm.ts';

// The operator under exactly the rules that the chart grants to its service account, through its main flows, with the API server's own audit log as
// the witness: nothing was refused, and nothing is granted that was not asked for, but for what carries a written reason.

const NAME = 'least-privilege-test';
const OPERATOR = 'system:serviceaccount:weft-system:weft-operator';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const MESHES = '/apis/weft.dev/v1alpha1/meshconfigs';
const SECRETS = '/api/v1/namespaces/weft-system/secrets';
const BUNDLE = '/api/v1/namespaces/demo/configmaps/weft-trust';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

let api: TestApi;
let operator: RunningOperator;

const exists = async (path: string): Promise<boolean> =>
  await api.get(path).then(
    () => true,
    () => false,
  );

async function operatorToken(): Promise<string> {
  const answer = await api.post('/api/v1/namespaces/weft-system/serviceaccounts/weft-operator/token', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3_600 },
  });
  return (answer['status'] as { token: string }).token;
}

/** The API server as somebody with this token sees it. */
function configFor(token: string): KubeConfig {
  const config = new KubeConfig();
  const cluster = api.kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig names no cluster');
  config.loadFromClusterAndUser(cluster, { name: 'operator', token });
  return config;
}

async function conditionOf(path: string, type: string): Promise<string> {
  const { status } = (await api.get(path)) as { status?: { conditions?: { type: string; reason: string }[] } };
  return status?.conditions?.find(condition => condition.type === type)?.reason ?? '';
}

/** What the chart renders and the API server here knows; what is there already stays as it is. */
async function createRendered(...args: string[]): Promise<void> {
  for (const object of manifests(await helmTemplate(...args))) {
    const { namespace = '', name } = object.metadata;
    const [group = '', plural = ''] = PATHS[object.kind] ?? [];
    const path = `${group}/${namespace === '' ? '' : `namespaces/${namespace}/`}${plural}`;
    if (plural !== '' && !(await exists(`${path}/${name}`))) await api.post(path, object);
  }
}

async function start(kubeConfig: KubeConfig, ...flags: string[]): Promise<RunningOperator> {
  const ports = [
    '--config-port=0',
    '--webhook-port=0',
    '--api-port=0',
    '--query-port=0',
    '--admin-port=0',
    '--peers-port=0',
  ];
  const parsed = parseOptions([...ports, ...flags], {});
  if (!parsed.ok || parsed.value.kind !== 'run') throw new Error('the options do not parse');
  return await startOperator({
    options: parsed.value.options,
    kubeConfig,
    clock: { nowMs: () => Date.now() },
    log: silentLogger,
    metrics: createPromMetrics({ processMetrics: false }),
    random: Math.random,
  });
}

const namespaceNamed = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, annotations: name === 'demo' ? { 'weft.dev/inject': 'enabled' } : {} },
});

beforeAll(async () => {
  api = await startTestApi(NAME, { audit: true });
  const folder = join(import.meta.dirname, '../../crds');
  for (const file of await readdir(folder)) await api.post(CRDS, parse(await readFile(join(folder, file), 'utf8')));
  for (const kind of ['Certificate', 'Issuer']) await api.post(CRDS, definitionOf(kind));
  for (const name of ['weft-system', 'demo']) await api.post('/api/v1/namespaces', namespaceNamed(name));
  await createRendered();
  await eventually('the definitions are served', async () => await exists(MESHES));
  operator = await start(configFor(await operatorToken()));
});

afterAll(() => stopTestApis(() => operator.stop('test')));

test('the operator works, is refused nothing, and is granted nothing that it does not ask for', async () => {
  await selfManagedMesh();
  await certManagerMesh();
  await anchoredMesh();
  await trustBundles();
  await webhooks();
  await everyKind();
  await proxiesAndPeople();
  await operator.stop('handover');
  const asked = await askedFor();

  expect(asked.filter(({ allowed }) => !allowed).map(described)).toEqual([]);
  const seen = new Set(asked.map(described));
  const granted = rbac
    .filter(({ unseen }) => unseen === undefined)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap(group =>
        resources.flatMap(resource => verbs.map(verb => described({ verb, group, resource }))),
      ),
    );
  expect(granted.length).toBeGreaterThan(30);
  expect([...new Set(granted)].filter(one => !seen.has(one)).toSorted()).toEqual([]);
}, 240_000);

test('in namespaces that are named it works with Roles there, and has no rights elsewhere', async () => {
  const binding = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/weft-operator';
  for (const path of [binding, '/apis/rbac.authorization.k8s.io/v1/clusterroles/weft-operator']) await api.delete(path);
  await createRendered('--set=watchNamespaces={demo}');
  const before = (await askedFor()).length;
  const config = configFor(await operatorToken());
  operator = await start(config, '--watch-namespaces=demo');
  await eventually('the operator leads', () => operator.leading(), 60_000);
  for (const namespace of ['demo', 'elsewhere']) {
    if (namespace === 'elsewhere') await api.post('/api/v1/namespaces', namespaceNamed(namespace));
    await api.post(`/apis/split.smi-spec.io/v1alpha4/namespaces/${namespace}/trafficsplits`, {
      apiVersion: 'split.smi-spec.io/v1alpha4',
      kind: 'TrafficSplit',
      metadata: { name: 'named' },
      spec: { service: 'root', backends: [{ service: 'a', weight: 1 }] },
    });
  }
  const split = (namespace: string): string =>
    `/apis/split.smi-spec.io/v1alpha4/namespaces/${namespace}/trafficsplits/named`;
  await eventually('conditions', async () => (await conditionOf(split('demo'), 'Ready')) !== '', 60_000);
  await api.delete(BUNDLE);
  await eventually('the bundle is restored', async () => await exists(BUNDLE), 60_000);
  expect(await conditionOf(split('elsewhere'), 'Ready')).toBe('');
  await operator.stop('test');
  const asked = (await askedFor()).slice(before);
  expect(asked.length).toBeGreaterThan(10);
  expect(asked.filter(({ allowed }) => !allowed).map(described)).toEqual([]);
  for (const path of ['/api/v1/pods', '/api/v1/namespaces/elsewhere/pods', '/api/v1/namespaces'])
    expect([path, await statusOf(config, 'GET', path)]).toEqual([path, 403]);
  expect(await statusOf(config, 'GET', '/api/v1/namespaces/demo/pods')).toBe(200);
}, 240_000);

test('the operator can read a Secret of no other namespace, and no token can be made with its rights', async () => {
  const config = configFor(await operatorToken());
  const status = async (method: string, path: string): Promise<number> => await statusOf(config, method, path);
  expect(await status('GET', SECRETS)).toBe(200);
  await api.post('/api/v1/namespaces/demo/secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'theirs' } });
  for (const path of [
    '/api/v1/secrets',
    '/api/v1/namespaces/demo/secrets',
    '/api/v1/namespaces/demo/secrets/theirs',
    '/api/v1/namespaces/kube-system/secrets',
    '/api/v1/configmaps',
  ])
    expect([path, await status('GET', path)]).toEqual([path, 403]);
  for (const path of [
    '/api/v1/namespaces/demo/pods',
    '/api/v1/namespaces/weft-system/pods',
    '/api/v1/namespaces/weft-system/serviceaccounts/weft-operator/token',
    '/api/v1/namespaces/demo/pods/web/exec?command=sh',
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  ])
    expect([path, await status('POST', path)]).toEqual([path, 403]);
});

/** Root, issuer, their immutable copies, and the end of a generation. */
async function selfManagedMesh(): Promise<void> {
  const spec = { trustDomain: 'demo.example', identity: { mode: 'SelfManaged' } };
  await api.merge(`${MESHES}/default`, { spec });
  await eventually(
    'the issuer is ready',
    async () => (await conditionOf(`${MESHES}/default`, 'IssuerReady')) === 'Issued',
    60_000,
  );
}

async function certManagerMesh(): Promise<void> {
  const metadata = { name: 'managed' };
  const spec = { trustDomain: 'managed.example' };
  await api.post(MESHES, { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata, spec });
  const certificate = '/apis/cert-manager.io/v1/namespaces/weft-system/certificates/weft-issuer-managed';
  await eventually('the Certificate is written', async () => await exists(certificate), 60_000);
  const nowMs = Date.now();
  const root = await makeCa({ commonName: 'root', nowMs, validForMs: 86_400_000_000 });
  const issuer = await issueIntermediate(root, { commonName: 'issuer', nowMs, validForMs: 8_640_000_000 });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  await api.post(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: {
      name: 'weft-issuer-managed',
      labels: { 'weft.dev/issuer': 'managed', 'weft.dev/issuer-role': 'source' },
    },
    data: {
      'tls.crt': base64(issuer.certificatePem),
      'tls.key': base64(issuer.privateKeyPem),
      'ca.crt': base64(root.certificatePem),
    },
  });
  await eventually(
    'the issuer signs',
    async () => (await conditionOf(`${MESHES}/managed`, 'IssuerReady')) === 'Issued',
    60_000,
  );
}

/** One whose root the operator has cert-manager make: an Issuer with its Certificate comes before that of the mesh. */
async function anchoredMesh(): Promise<void> {
  const metadata = { name: 'anchored' };
  const identity = { anchor: 'Managed', issuerRef: { name: 'self-signed', kind: 'Issuer' } };
  const spec = { trustDomain: 'anchored.example', identity };
  await api.post(MESHES, { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata, spec });
  const issuers = '/apis/cert-manager.io/v1/namespaces/weft-system/issuers';
  await eventually('the Issuer is written', async () => await exists(`${issuers}/weft-anchor-anchored`), 60_000);
}

async function trustBundles(): Promise<void> {
  await eventually('the bundle is there', async () => await exists(BUNDLE));
  await api.merge(BUNDLE, { data: { 'ca.crt': 'spoilt' } });
  const data = async (): Promise<string> => ((await api.get(BUNDLE))['data'] as Record<string, string>)['ca.crt'] ?? '';
  await eventually('the bundle is restored', async () => (await data()).includes('BEGIN CERTIFICATE'));
  await api.merge('/api/v1/namespaces/demo', { metadata: { annotations: { 'weft.dev/inject': 'disabled' } } });
  await eventually('the bundle is gone', async () => !(await exists(BUNDLE)));
  await api.merge('/api/v1/namespaces/demo', { metadata: { annotations: { 'weft.dev/inject': 'enabled' } } });
}

/** Both configurations get their bundles; the certificate behind them is made anew when it is gone. */
async function webhooks(): Promise<void> {
  const bundles = async (): Promise<readonly string[]> => {
    const read = async (plural: string) =>
      ((await api.get(`${ADMISSION}/${plural}/weft-webhooks`))['webhooks'] as Hook[]).map(
        ({ clientConfig }) => clientConfig.caBundle ?? '',
      );
    return [...(await read('mutatingwebhookconfigurations')), ...(await read('validatingwebhookconfigurations'))];
  };
  await eventually('every hook has its bundle', async () => (await bundles()).every(bundle => bundle !== ''), 60_000);
  // A pod of a namespace that no watch has told of.
  const pod = { metadata: { name: 'web' }, spec: { containers: [{ name: 'app' }] } };
  const review = {
    uid: '1',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    operation: 'CREATE',
    namespace: 'unseen',
    name: 'web',
    object: pod,
  };
  const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: review });
  expect(await loopback(operator.ports.webhook, { method: 'POST', path: '/inject' }, body)).toBe(503);
}

interface Hook {
  readonly clientConfig: { readonly caBundle?: string };
}

/** One object of every kind of ours, until its conditions are written; one of them is wrong, which an event tells. */
async function everyKind(): Promise<void> {
  for (const { example } of KINDS) {
    const object = parse(example) as RawObject;
    // A Canary, and what it refers to, is the matter of a process with rights of its own.
    if (object.kind === 'MeshConfig' || !WATCHED_KINDS.some(({ kind }) => kind === object.kind)) continue;
    const namespace = object.metadata.namespace ?? 'demo';
    if (!(await exists(`/api/v1/namespaces/${namespace}`)))
      await api.post('/api/v1/namespaces', namespaceNamed(namespace));
    const definition = KINDS.find(({ kind }) => kind === object.kind);
    const path = `/apis/${object.apiVersion}/namespaces/${namespace}/${definition?.plural ?? ''}`;
    await api.post(path, object);
    await eventually(
      `the conditions of ${object.kind}`,
      async () => (await conditionOf(`${path}/${object.metadata.name}`, 'Accepted')) !== '',
      60_000,
    );
  }
  const split = { service: 'root', backends: ['a', 'b', 'a'].map(service => ({ service, weight: 1 })) };
  await api.post('/apis/split.smi-spec.io/v1alpha4/namespaces/demo/trafficsplits', {
    apiVersion: 'split.smi-spec.io/v1alpha4',
    kind: 'TrafficSplit',
    metadata: { name: 'twice' },
    spec: split,
  });
  const events = '/apis/events.k8s.io/v1/namespaces/demo/events';
  await eventually(
    'an event tells it',
    async () => ((await api.get(events)) as unknown as { items: unknown[] }).items.length > 0,
    60_000,
  );
}

/** A token is judged for a proxy, and another for a person who asks the operator API. */
async function proxiesAndPeople(): Promise<void> {
  const root = (await api.get(`${SECRETS}/weft-root-default`))['data'] as Record<string, string>;
  const client = new Client(
    `127.0.0.1:${operator.ports.config}`,
    credentials.createSsl(Buffer.from(root['tls.crt'] ?? '', 'base64')),
    { 'grpc.ssl_target_name_override': operatorServerName('default') },
  );
  const { path, requestSerialize, responseDeserialize } = IDENTITY_SERVICE.certify;
  const token = await operatorToken();
  const message = create(CertifyRequestSchema, { csr: new Uint8Array(), serviceAccountToken: token });
  await new Promise<void>(resolve => {
    const bytes = Buffer.from(toBinary(CertifyRequestSchema, message));
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, bytes, () => resolve());
  });
  client.close();
  const headers = { authorization: `Bearer ${token}` };
  expect(await loopback(operator.ports.api, { path: '/v1/status', headers })).toBe(403);
}

/** Status of what the operator answers; whose certificate it comes under is the matter of other tests. */
async function loopback(port: number, options: RequestOptions, body?: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const all = { host: '127.0.0.1', port, rejectUnauthorized: false, agent: false, ...options };
    const outgoing = request(all, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
}

interface Asked extends Right {
  readonly allowed: boolean;
}

const described = ({ verb, group, resource }: Right): string => `${verb} ${resource}${group === '' ? '' : `.${group}`}`;

/** What the operator asked the API server for. */
async function askedFor(): Promise<readonly Asked[]> {
  const lines = (await readFile(auditLog(NAME), 'utf8')).trim().split('\n');
  return lines
    .map(line => JSON.parse(line) as AuditEvent)
    .filter(({ user, objectRef }) => user?.username === OPERATOR && objectRef?.resource !== undefined)
    .map(({ verb, objectRef = {}, annotations, responseStatus }) => ({
      verb,
      group: objectRef.apiGroup ?? '',
      resource: [objectRef.resource, objectRef.subresource].filter(part => part !== undefined).join('/'),
      // What is judged besides, as an apply that creates, is refused in the answer alone.
      allowed: annotations?.['authorization.k8s.io/decision'] === 'allow' && responseStatus?.code !== 403,
    }));
}

interface AuditEvent {
  readonly verb: string;
  readonly user?: { readonly username?: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
  };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly responseStatus?: { readonly code?: number };
}

async function statusOf(config: KubeConfig, method: string, path: string): Promise<number> {
  const cluster = config.getCurrentCluster();
  const { server = '', caFile = '' } = cluster ?? {};
  const ca = cluster?.caData === undefined ? await readFile(caFile) : Buffer.from(cluster.caData, 'base64');
  return await new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${config.getCurrentUser()?.token ?? ''}`,
      'content-type': 'application/json',
    };
    const outgoing = request(`${server}${path}`, { method, ca, headers, agent: false }, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.once('error', reject);
    outgoing.end(method === 'POST' ? '{}' : undefined);
  });
}

/** Of what the chart renders, what matters to the API server here. */
const PATHS: Readonly<Record<string, readonly [string, string]>> = {
  ServiceAccount: ['/api/v1', 'serviceaccounts'],
  ClusterRole: ['/apis/rbac.authorization.k8s.io/v1', 'clusterroles'],
  ClusterRoleBinding: ['/apis/rbac.authorization.k8s.io/v1', 'clusterrolebindings'],
  Role: ['/apis/rbac.authorization.k8s.io/v1', 'roles'],
  RoleBinding: ['/apis/rbac.authorization.k8s.io/v1', 'rolebindings'],
  MutatingWebhookConfiguration: [ADMISSION, 'mutatingwebhookconfigurations'],
  ValidatingWebhookConfiguration: [ADMISSION, 'validatingwebhookconfigurations'],
  MeshConfig: ['/apis/weft.dev/v1alpha1', 'meshconfigs'],
};

/** A kind of cert-manager's, as loose as can be. */
function definitionOf(kind: string): object {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.cert-manager.io`,
      annotations: { 'api-approved.kubernetes.io': 'unapproved, test' },
    },
    spec: {
      group: 'cert-manager.io',
      scope: 'Namespaced',
      names: { kind, plural, singular, listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
}
