import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  call,
  clientPod,
  eventually,
  getObject,
  killInPod,
  type KubernetesObject,
  kubectl,
  podIp,
  podState,
  serverApp,
  service,
  startLoad,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';
import { testappImage } from '../harness/images.ts';

// One namespace for all: a server `web` whose ports want mesh identities, so that whatever gets an answer came by mutual TLS.
const namespace = `pod-life-${Math.random().toString(36).slice(2, 6)}`;

const app = (args: readonly string[]): Record<string, unknown> => ({
  name: 'app',
  image: testappImage,
  imagePullPolicy: 'IfNotPresent',
  args,
});

function job(
  name: string,
  args: readonly string[],
  { spec = {}, pod = {} }: { spec?: Record<string, unknown>; pod?: Record<string, unknown> } = {},
): KubernetesObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace },
    spec: {
      backoffLimit: 0,
      ...spec,
      template: { spec: { restartPolicy: 'Never', containers: [app(['job', ...args])], ...pod } },
    },
  };
}

interface JobStatus {
  readonly status?: {
    readonly succeeded?: number;
    readonly failed?: number;
    readonly startTime?: string;
    readonly conditions?: readonly { type: string; status: string; reason?: string; lastTransitionTime: string }[];
  };
}

/** How a job ended, and the seconds that it took. */
async function ending(name: string): Promise<{ type: string; reason: string; seconds: number }> {
  return await eventually(
    `job ${name} ends`,
    async () => {
      const { status } = await getObject<JobStatus>('job', name, namespace);
      const end = status?.conditions?.find(({ type, status: is }) => /^(Complete|Failed)$/.test(type) && is === 'True');
      if (end === undefined) return false;
      const seconds = (Date.parse(end.lastTransitionTime) - Date.parse(status?.startTime ?? '')) / 1_000;
      return { type: end.type, reason: end.reason ?? '', seconds };
    },
    { deadlineMs: 120_000, everyMs: 500 },
  );
}

beforeAll(async () => {
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
    },
    service(namespace, 'web'),
    ...serverApp({
      namespace,
      name: 'web',
      annotations: { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' },
    }),
    ...clientPod({ namespace, name: 'client' }),
    ...clientPod({ namespace, name: 'outside', meshed: false }),
  );
  await Promise.all(['web', 'client', 'outside'].map(name => waitRollout(namespace, name)));
  await Promise.all(['client', 'outside'].map(name => waitAnswered(namespace, name)));
  // Not before there is somebody to answer: a minute may begin at any time.
  await apply({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'every-minute', namespace },
    spec: {
      schedule: '* * * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [app(['job', '--call', 'http://web/'])] } } },
      },
    },
  });
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
});

describe('a meshed job', () => {
  it('ends by itself with the exit code of its own container, whatever connections it leaves behind', async () => {
    // The control: without an identity the server answers nobody.
    expect((await call(namespace, 'outside', { url: 'http://web/' })).status).toBe(403);
    const left = ['--half-closed', 'web:7000', '--open', 'web:7025'];
    await apply(
      job('succeeds', ['--call', 'http://web/']),
      job('fails', ['--call', 'http://web/', '--exit', '7']),
      job('leaves-sockets', ['--call', 'http://web/', ...left]),
      job('too-long', ['--call', 'http://web/', '--sleep', '10m'], {
        spec: { activeDeadlineSeconds: 8 },
        pod: { terminationGracePeriodSeconds: 2 },
      }),
    );
    const endings = await Promise.all(['succeeds', 'fails', 'leaves-sockets', 'too-long'].map(ending));
    console.log(`jobs ended: ${JSON.stringify(endings)}`);
    expect(endings.map(({ type }) => type)).toEqual(['Complete', 'Failed', 'Complete', 'Failed']);
    expect(endings[3]?.reason).toBe('DeadlineExceeded');
    const fails = await podState(namespace, 'job-name=fails');
    expect(fails.phase).toBe('Failed');
    expect(fails.containers['app']?.exitCode).toBe(7);
    const leaves = await podState(namespace, 'job-name=leaves-sockets');
    expect([leaves.phase, leaves.containers['app']?.exitCode]).toEqual(['Succeeded', 0]);
    expect(leaves.containers['weft-proxy']?.exitCode).toBe(0);
    // Far below the drain's 30 s, which a connection that nobody ends would otherwise last.
    expect(endings[2]?.seconds).toBeLessThan(25);
  });

  it('is made by a CronJob in the same way', async () => {
    const ended = await eventually(
      'a job of the CronJob completes',
      async () => {
        const jobs = JSON.parse(await kubectl(['get', 'jobs', '-n', namespace, '-o', 'json'])) as {
          items: (KubernetesObject & JobStatus)[];
        };
        const own = jobs.items.filter(({ metadata }) => metadata.name.startsWith('every-minute-'));
        return own.some(({ status }) => status?.succeeded === 1) ? own : false;
      },
      { deadlineMs: 150_000, everyMs: 1_000 },
    );
    expect(ended.every(({ status }) => (status?.failed ?? 0) === 0)).toBe(true);
    await kubectl(['delete', 'cronjob', 'every-minute', '-n', namespace]);
  });
});

describe('an init container of the application', () => {
  it('reaches the mesh with the identity of its pod', async () => {
    await apply(
      job('with-init', [], {
        pod: { initContainers: [{ ...app(['call', '{"url":"http://web/"}']), name: 'ask-first' }] },
      }),
    );
    expect((await ending('with-init')).type).toBe('Complete');
    const { name } = await podState(namespace, 'job-name=with-init');
    const answer = JSON.parse(await kubectl(['logs', '-n', namespace, name, '-c', 'ask-first'])) as {
      status: number;
      body: string;
    };
    expect(answer.status).toBe(200);
    const seen = JSON.parse(answer.body) as { headers: Record<string, string> };
    expect(seen.headers['weft-client-id']).toBe(`spiffe://cluster.local/ns/${namespace}/sa/default`);
  });
});

const probes = [
  { kind: 'http', readinessProbe: { httpGet: { path: '/healthz', port: 8080 } } },
  { kind: 'tcp', readinessProbe: { tcpSocket: { port: 'probed' } } },
  { kind: 'grpc', readinessProbe: { grpc: { port: 9090 } } },
  { kind: 'exec', readinessProbe: { exec: { command: ['/testapp', 'healthy', 'http://127.0.0.1:8080/healthz'] } } },
] as const;

describe('a probe', () => {
  it('of every kind tells a sick application from a well one, on ports that let nobody in', async () => {
    const server = (port: string): KubernetesObject => ({
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: `probed-${port}`, namespace },
      spec: {
        podSelector: { matchLabels: { probed: 'true' } },
        port,
        proxyProtocol: port === 'grpc' ? 'gRPC' : 'unknown',
      },
    });
    await apply(
      ...['http', 'grpc', 'probed'].map(server),
      service(namespace, 'probe-http'),
      service(namespace, 'probe-grpc'),
      ...probes.flatMap(({ kind, readinessProbe }) =>
        serverApp({
          namespace,
          name: `probe-${kind}`,
          labels: { probed: 'true' },
          annotations: { 'config.linkerd.io/default-inbound-policy': 'deny' },
          container: {
            readinessProbe: { ...readinessProbe, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 1 },
          },
        }),
      ),
    );
    const apps = probes.map(({ kind }) => `probe-${kind}`);
    await Promise.all(apps.map(name => waitRollout(namespace, name)));
    // The control: nobody else gets in, not even to where the probe goes.
    await waitAnswered(namespace, 'client', 'http://probe-http/');
    expect((await call(namespace, 'client', { url: 'http://probe-http/' })).status).toBe(403);
    const set = async (name: string, state: string): Promise<void> => {
      const request = JSON.stringify({ url: `http://127.0.0.1:8080/health/${state}`, method: 'POST' });
      const { name: pod } = await podState(namespace, `app=${name}`);
      await kubectl(['exec', '-n', namespace, pod, '-c', 'app', '--', '/testapp', 'call', request]);
    };
    for (const { state, ready } of [
      { state: 'sick', ready: false },
      { state: 'well', ready: true },
    ]) {
      await Promise.all(apps.map(name => set(name, state)));
      for (const name of apps)
        await eventually(
          `${name} is ${state}`,
          async () => (await podState(namespace, `app=${name}`)).containers['app']?.ready === ready,
          { deadlineMs: 60_000, everyMs: 250 },
        );
    }
    await kubectl(['delete', 'deployment', '-n', namespace, ...apps, '--wait=false']);
  });
});

describe('a proxy that is killed', () => {
  it('comes back alone, and traffic goes on', async () => {
    const before = await podState(namespace, 'app=web');
    const load = await startLoad(namespace, 'client', {
      protocol: 'http1',
      target: 'http://web/',
      rate: 100,
      durationMs: 120_000,
    });
    await eventually('traffic flows', async () => (await load.report()).answered > 50, { deadlineMs: 30_000 });
    expect(await killInPod(before.uid, 'weft-proxy run')).toBe(1);
    const killedMs = Date.now();
    const after = await eventually(
      'the proxy is ready again',
      async () => {
        const now = await podState(namespace, 'app=web');
        const proxy = now.containers['weft-proxy'];
        return proxy?.restarts === 1 && proxy.ready && now.ready ? now : false;
      },
      { deadlineMs: 60_000, everyMs: 100 },
    );
    const backMs = Date.now();
    await eventually(
      'traffic goes on',
      async () => ((await load.report()).byStatus['200']?.lastSentMs ?? 0) > backMs + 1_000,
      { deadlineMs: 60_000 },
    );
    const report = await load.stop();
    console.log(
      `proxy killed: ready again after ${backMs - killedMs} ms; ${report.failed} of ${report.sent} requests failed ${JSON.stringify(report.errors)}`,
    );
    expect(after.uid).toBe(before.uid);
    expect(after.containers['app']).toEqual(before.containers['app']);
    // No more than what was sent while nobody could answer, and then some.
    expect(report.failed).toBeLessThan(((backMs - killedMs) / 1_000 + 5) * 100);
    const finished = await call(namespace, 'client', { url: 'http://web/' });
    expect(finished.status).toBe(200);
    expect(await podIp(namespace, 'web')).not.toBe('');
  });
});
