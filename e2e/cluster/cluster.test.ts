// The local node itself: that it is a real cluster, and that nothing of it stays behind however it ends.

import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildImage, ensureImage } from '../../tools/image/index.ts';
import {
  clusterDown,
  clusterUp,
  component,
  listClusters,
  listImages,
  loadImage,
  nodeExec,
  nodeRun,
  outsideHostName,
  podBridge,
} from './index.ts';

const name = 'selftest';
const report = (line: string) => process.stderr.write(`cluster ${name} ${line}\n`);
const kubectl = (...args: string[]) => nodeRun(name, ['kubectl', ...args], { timeoutMs: 90_000 });

beforeAll(async () => {
  await clusterDown(name);
  await clusterUp(name, { report });
});

afterAll(async () => {
  await clusterDown(name, report);
});

test('a second up finds it healthy and returns within two seconds', async () => {
  const pid = await component(name, 'kube-apiserver').pid();
  const startedMs = performance.now();
  await clusterUp(name);
  expect(performance.now() - startedMs).toBeLessThan(2000);
  expect(await component(name, 'kube-apiserver').pid()).toBe(pid);
});

test('a pod becomes Ready, answers through a ClusterIP of either family, and has logs and exec', async () => {
  await apply(server('web'), service('web'));
  await kubectl('wait', 'pod/web', '--for=condition=Ready', '--timeout=60s');
  const families = JSON.parse(await kubectl('get', 'service/web', '--output=jsonpath={.spec.clusterIPs}'));
  expect(families).toHaveLength(2);
  for (const address of families) {
    // kube-proxy writes its rules a moment after the endpoint is ready; until then it refuses.
    const answer = await eventually(() => fetchFromNode(`http://${bracketed(address)}/version`));
    expect(answer).toContain('version');
  }
  expect(await kubectl('logs', 'web')).toContain('Starting HTTP Server');
  expect(await kubectl('exec', 'web', '--', '/podinfo', '--version')).toMatch(/^\d+\.\d+/);
});

test('a pod reaches another by the name of its Service, on the same bridge', async () => {
  await apply(server('caller', { args: ['--backend-url=http://web.default.svc.cluster.local/echo'] }));
  await kubectl('wait', 'pod/caller', '--for=condition=Ready', '--timeout=60s');
  const caller = await kubectl('get', 'pod/caller', '--output=jsonpath={.status.podIP}');
  expect(await fetchFromNode(`http://${caller}:9898/echo`, 'passed on')).toContain('passed on');
});

test('DNS: a Service is known as soon as it exists although it was asked for before; a stranger is unknown at once', async () => {
  expect(await resolve('late.default.svc.cluster.local')).toBe('ENOTFOUND');
  await apply(service('late'));
  await eventually(async () => expect(await resolve('late.default.svc.cluster.local')).toMatch(/^10\.96\./), 5000);
  expect(await resolve('example.com')).toBe('ENOTFOUND');
  expect(await resolve(outsideHostName)).toBe('192.168.77.1');
});

test('cert-manager issues a leaf from a CA that it signed itself', async () => {
  await apply(
    issuer('root', { selfSigned: {} }),
    certificate('ca', 'root', { isCA: true, commonName: 'selftest' }),
    issuer('ca', { ca: { secretName: 'ca' } }),
    certificate('leaf', 'ca', { dnsNames: ['leaf.test'] }),
  );
  await kubectl('wait', 'certificate/leaf', '--for=condition=Ready', '--timeout=60s');
  const authority = new X509Certificate(await secretField('ca', 'tls\\.crt'));
  const leaf = new X509Certificate(await secretField('leaf', 'tls\\.crt'));
  expect(leaf.verify(authority.publicKey)).toBe(true);
  expect(leaf.subjectAltName).toBe('DNS:leaf.test');
});

test('the API server calls an admission webhook behind a Service, over TLS that cert-manager set up', async () => {
  await apply(
    certificate('hook', 'ca', { dnsNames: ['hook.default.svc'] }),
    server('hook', { args: ['--secure-port=9443', '--cert-path=/tls'], secret: 'hook' }),
    service('hook', 443, 9443),
    echoWebhook(await secretField('ca', 'tls\\.crt')),
  );
  await kubectl('wait', 'pod/hook', '--for=condition=Ready', '--timeout=60s');
  // The pod sends the review back as it came: the API server misses the verdict, which only an answer from the pod explains.
  const refusal = await eventually(async () => {
    const { stderr } = await nodeExec(name, ['kubectl', 'create', 'configmap', 'reviewed']);
    expect(stderr).toContain('failed calling webhook "echo.selftest.dev"');
    expect(stderr).toContain('webhook response was absent');
    return stderr;
  });
  expect(refusal).not.toContain('x509');
  await kubectl('delete', 'validatingwebhookconfiguration/selftest');
  await kubectl('create', 'configmap', 'reviewed');
});

test('TokenReview accepts a token for its own audience and for no other', async () => {
  const token = (
    await kubectl(
      'create',
      'token',
      'default',
      '--audience=weft.dev',
      '--bound-object-kind=Pod',
      '--bound-object-name=web',
    )
  ).trim();
  const own = await reviewToken(token, 'weft.dev');
  expect(own).toMatchObject({ authenticated: true, user: { username: 'system:serviceaccount:default:default' } });
  expect(own.user?.extra?.['authentication.kubernetes.io/pod-name']).toEqual(['web']);
  expect((await reviewToken(token, 'other')).authenticated ?? false).toBe(false);
});

test('an image imported twice keeps its digest and runs without a registry', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-cluster-'));
  try {
    const options = { tag: 'localhost/twice:1', entrypoint: ['/a'], files: [{ content: 'same', to: '/a' }] };
    await loadImage(name, await buildImage(options, join(folder, 'first.tar')));
    const digest = (await listImages(name)).get(options.tag);
    await loadImage(name, await buildImage(options, join(folder, 'second.tar')));
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect((await listImages(name)).get(options.tag)).toBe(digest);
    await loadImage(
      name,
      await buildImage({ ...options, files: [{ content: 'other', to: '/a' }] }, join(folder, 'third.tar')),
    );
    expect((await listImages(name)).get(options.tag)).not.toBe(digest);
    await loadImage(name, await ensureImage('podinfo'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a program run in the node keeps input, output and exit code, and is ended by its deadline', async () => {
  const result = await nodeExec(name, ['sh', '-c', 'cat; echo oops >&2; exit 7'], { input: 'given' });
  expect(result).toEqual({ stdout: 'given', stderr: 'oops\n', code: 7 });
  expect((await nodeExec(name, ['sh', '-c', 'kill -TERM $$'])).code).toBe(143);
  await expect(nodeExec(name, ['sleep', '60'], { timeoutMs: 200 })).rejects.toThrow('timeout');
  await expect(nodeExec(name, ['sleep', '60'], { signal: AbortSignal.abort(new Error('called off')) })).rejects.toThrow(
    'called off',
  );
});

test('the outside is another network, from which pods are reached', async () => {
  const address = await kubectl('get', 'pod/web', '--output=jsonpath={.status.podIP}');
  expect(await fetchFromNode(`http://${address}:9898/version`, undefined, 'outside')).toContain('version');
  const links = async (where: 'node' | 'outside') => await nodeRun(name, ['ip', '-brief', 'link'], { where });
  expect(await links('node')).toContain(podBridge);
  expect(await links('outside')).not.toContain(podBridge);
});

test('a stopped API server comes back as it was, pods untouched', async () => {
  const apiServer = component(name, 'kube-apiserver');
  await apiServer.stop();
  expect(await apiServer.isRunning()).toBe(false);
  expect((await nodeExec(name, ['kubectl', 'get', '--raw=/readyz'])).code).not.toBe(0);
  await apiServer.start();
  expect(await kubectl('get', 'pod/web', '--output=jsonpath={.status.containerStatuses[0].restartCount}')).toBe('0');
});

test('a killed program is seen, and the next up starts the cluster afresh', async () => {
  await component(name, 'kube-scheduler').stop('SIGKILL');
  expect((await listClusters()).find(cluster => cluster.name === name)?.status).toBe('broken');
  await clusterUp(name, { report });
  expect((await listClusters()).find(cluster => cluster.name === name)?.status).toBe('running');
  expect((await nodeExec(name, ['kubectl', 'get', 'pod/web'])).stderr).toContain('NotFound');
});

async function apply(...objects: object[]): Promise<void> {
  const input = objects.map(object => stringify(object)).join('---\n');
  // The default service account appears a moment after its namespace, and without it the API refuses pods.
  await kubectl('wait', 'serviceaccount/default', '--for=create', '--timeout=30s');
  await nodeRun(name, ['kubectl', 'apply', '--filename=-'], { input });
}

function server(pod: string, { args = [], secret }: { args?: string[]; secret?: string } = {}): object {
  const podinfo = {
    name: 'podinfo',
    image: 'localhost/podinfo:1',
    args: ['--port=9898', ...args],
    readinessProbe: { httpGet: { path: '/readyz', port: 9898 }, periodSeconds: 1 },
  };
  const mounted = { ...podinfo, volumeMounts: [{ name: 'tls', mountPath: '/tls' }] };
  const volumes = [{ name: 'tls', secret: { secretName: secret } }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod, labels: { app: pod } },
    spec: {
      terminationGracePeriodSeconds: 0,
      ...(secret === undefined ? { containers: [podinfo] } : { containers: [mounted], volumes }),
    },
  };
}

function service(app: string, port = 80, targetPort = 9898): object {
  const spec = { ipFamilyPolicy: 'RequireDualStack', selector: { app }, ports: [{ port, targetPort }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: app }, spec };
}

function echoWebhook(authority: string): object {
  const webhook = {
    name: 'echo.selftest.dev',
    clientConfig: {
      service: { namespace: 'default', name: 'hook', path: '/echo' },
      caBundle: Buffer.from(authority).toString('base64'),
    },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    timeoutSeconds: 5,
  };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'selftest' },
    webhooks: [webhook],
  };
}

function issuer(issuerName: string, spec: object): object {
  return { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: { name: issuerName }, spec };
}

function certificate(secretName: string, issuerName: string, spec: object): object {
  const privateKey = { algorithm: 'ECDSA', size: 256 };
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: { name: secretName },
    spec: { secretName, issuerRef: { name: issuerName }, privateKey, ...spec },
  };
}

async function secretField(secret: string, field: string): Promise<string> {
  const encoded = await kubectl('get', `secret/${secret}`, `--output=jsonpath={.data.${field}}`);
  return Buffer.from(encoded, 'base64').toString();
}

interface TokenReviewStatus {
  authenticated?: boolean;
  user?: { username?: string; extra?: Record<string, string[]> };
}

async function reviewToken(token: string, audience: string): Promise<TokenReviewStatus> {
  const review = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences: [audience] },
  };
  const argv = ['kubectl', 'create', '--filename=-', '--output=json'];
  return JSON.parse(await nodeRun(name, argv, { input: JSON.stringify(review) })).status;
}

async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 10_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

async function fetchFromNode(url: string, body?: string, where: 'node' | 'outside' = 'node'): Promise<string> {
  const script = `
    const [url, body] = process.argv.slice(1);
    const options = { signal: AbortSignal.timeout(10_000), ...(body && { method: 'POST', body }) };
    console.log(await (await fetch(url, options)).text());`;
  const argv = [process.execPath, '--input-type=module', '--eval', script, url, ...(body === undefined ? [] : [body])];
  return await nodeRun(name, argv, { where });
}

async function resolve(host: string): Promise<string> {
  const script = `
    import { Resolver } from 'node:dns/promises';
    const resolver = new Resolver({ timeout: 2000, tries: 2 });
    resolver.setServers(['10.96.0.10']);
    console.log(await resolver.resolve4(process.argv[1]).then(([first]) => first, (error) => error.code));`;
  return (await nodeRun(name, [process.execPath, '--input-type=module', '--eval', script, host])).trim();
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
