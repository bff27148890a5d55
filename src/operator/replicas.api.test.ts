import { readdir, readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { connectProxy, type TestProxy } from '../configserver/testing/proxy.ts';
import type { RawObject } from '../kube/index.ts';
import { eventually, startTestApi, stopTestApis, type TestApi } from '../kube/testing/api-server.ts';
import { silentLogger } from '../runtime/index.ts';
import { createPromMetrics, type PromMetrics } from '../telemetry/index.ts';
import { type RunningOperator, startOperator } from './operator.ts';
import { parseOptions } from './options.ts';

const CRD_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const MESH_PATH = '/apis/weft.dev/v1alpha1/meshconfigs';
const SERVERS = '/apis/policy.linkerd.io/v1beta3/namespaces/demo/servers';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/weft-system/endpointslices';
const PODS = 30;

interface Replica {
  readonly name: string;
  readonly operator: RunningOperator;
  readonly metrics: PromMetrics;
}

async function value(metrics: PromMetrics, series: string): Promise<number> {
  const { text } = await metrics.expose();
  return Number(
    text
      .split('\n')
      .find(line => line.startsWith(`${series} `))
      ?.split(' ')
      .at(-1) ?? 0,
  );
}

/** The API refuses loopback addresses in EndpointSlices. */
function ownAddress(): string {
  const found = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  const address = found.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  if (address === undefined) throw new Error('this machine has no IPv4 address beside loopback');
  return address;
}

describe('three replicas, with a real API server', () => {
  let api: TestApi;
  let root = '';
  const tokens: string[] = [];
  const replicas = new Map<string, Replica>();
  const proxies = new Map<number, Connected>();

  /** A proxy that connects anew when its stream ends, to any of the replicas, with what it holds. */
  interface Connected {
    readonly held: Map<string, string>;
    proxy: TestProxy;
    replica: string;
    /** Resources that came on streams after the first. */
    sentAgain: number;
    closed: boolean;
  }

  async function start(name: string): Promise<Replica> {
    const ports = ['config', 'webhook', 'api', 'admin', 'peers', 'query'].map(port => `--${port}-port=0`);
    const parsed = parseOptions([...ports, `--pod-name=${name}`], {});
    if (!parsed.ok || parsed.value.kind !== 'run') throw new Error('the options do not parse');
    const metrics = createPromMetrics({ processMetrics: false });
    const operator = await startOperator({
      options: parsed.value.options,
      kubeConfig: api.kubeConfig,
      clock: { nowMs: () => Date.now() },
      log: silentLogger,
      metrics,
      random: Math.random,
    });
    const replica = { name, operator, metrics };
    replicas.set(name, replica);
    await api.post(SLICES, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, labels: { 'kubernetes.io/service-name': 'weft-operator-peers' } },
      addressType: 'IPv4',
      ports: [{ name: 'grpc-peers', port: operator.ports.peers, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: [ownAddress()],
          conditions: { ready: true, serving: true },
          targetRef: { kind: 'Pod', name, namespace: 'weft-system', uid: name },
        },
      ],
    });
    await eventually(`replica ${name} is ready`, () => operator.readiness.ready, 60_000);
    return replica;
  }

  function dial(pod: number, before?: Connected): void {
    const all = [...replicas.values()];
    const chosen = all[Math.floor(Math.random() * all.length)];
    if (chosen === undefined) return;
    const proxy = connectProxy({
      port: chosen.operator.ports.config,
      root: { certificatePem: root, privateKeyPem: '' },
      token: tokens[pod] ?? '',
      held: [...(before?.held ?? [])].map(([name, version]) => ({ name, version })),
    });
    const state = before ?? { held: new Map(), proxy, replica: '', sentAgain: 0, closed: false };
    Object.assign(state, { proxy, replica: chosen.name });
    proxies.set(pod, state);
    void proxy.ended.then(() => {
      if (before !== undefined) state.sentAgain += proxy.received.length;
      for (const message of proxy.received)
        if (message.kind === 'upsert') state.held.set(message.name, message.version);
      if (!state.closed) setTimeout(() => dial(pod, state), 20);
    });
  }

  const counts = (): number[] =>
    [...replicas.keys()].map(name => [...proxies.values()].filter(({ replica }) => replica === name).length);
  const programmed = async (): Promise<string> => {
    const conditions = (
      (await api.get(`${SERVERS}/web`))['status'] as { conditions?: Record<string, string>[] } | undefined
    )?.conditions;
    return conditions?.find(({ type }) => type === 'Programmed')?.['message'] ?? '';
  };

  beforeAll(async () => {
    api = await startTestApi('operator-replicas');
    const folder = join(import.meta.dirname, '../../crds');
    for (const file of await readdir(folder))
      await api.post(CRD_PATH, parse(await readFile(join(folder, file), 'utf8')));
    for (const name of ['weft-system', 'demo'])
      await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const account = '/api/v1/namespaces/demo/serviceaccounts';
    await api.post(account, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web' } });
    for (let index = 0; index < PODS; index++) {
      const name = `web-${index}`;
      const { metadata } = await api.post('/api/v1/namespaces/demo/pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, labels: { app: 'web', 'weft.dev/proxy': 'default' } },
        spec: {
          serviceAccountName: 'web',
          nodeName: 'n1',
          containers: [{ name: 'app', image: 'localhost/app:1', ports: [{ containerPort: 8080 }] }],
        },
      });
      const answer = await api.post(`${account}/web/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: ['weft.dev'],
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid: metadata.uid ?? '' },
        },
      });
      tokens.push((answer['status'] as { token: string }).token);
    }
    const spec = { trustDomain: 'demo.example', identity: { mode: 'SelfManaged' } };
    await eventually('the definitions are served', () =>
      api
        .post(MESH_PATH, { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata: { name: 'default' }, spec })
        .then(
          () => true,
          () => false,
        ),
    );
    await start('a');
    const secret = await api.get('/api/v1/namespaces/weft-system/secrets/weft-root-default');
    root = Buffer.from((secret['data'] as Record<string, string>)['tls.crt'] ?? '', 'base64').toString();
  });

  afterAll(async () => {
    for (const state of proxies.values()) {
      state.closed = true;
      state.proxy.close();
    }
    await stopTestApis(
      ...[...replicas.values()].map(
        ({ operator }) =>
          () =>
            operator.stop('test'),
      ),
    );
  });

  it('take over proxies that all were with one, gradually, and send nothing that was held already', async () => {
    for (let pod = 0; pod < PODS; pod++) dial(pod);
    const [a] = [...replicas.values()];
    if (a === undefined) throw new Error('no replica');
    await eventually('all are connected', async () => (await value(a.metrics, 'weft_config_streams')) === PODS, 60_000);
    await eventually('all have acknowledged', () =>
      [...proxies.values()].every(({ proxy }) => proxy.received.length === 2),
    );
    await Promise.all([start('b'), start('c')]);
    const startMs = Date.now();
    await eventually('they are spread', () => Math.max(...counts()) <= 14, 120_000);
    const moved = await value(a.metrics, 'weft_peers_shed_total');
    console.log(`spread as ${counts().join('/')} after ${Date.now() - startMs} ms; ${moved} streams were ended`);
    expect(moved).toBeLessThan(PODS * 2);
    expect(
      [...proxies.values()].map(
        ({ sentAgain, proxy, held }) => sentAgain + (held.size > 0 ? proxy.received.length : 0),
      ),
    ).toEqual(Array.from({ length: PODS }, () => 0));
  }, 240_000);

  it('count the acknowledgements of all of them, whichever proxy is where', async () => {
    await eventually('every replica knows every proxy', async () => {
      const known = await Promise.all(
        [...replicas.values()].map(
          async ({ metrics }) =>
            (await value(metrics, 'weft_config_streams')) + (await value(metrics, 'weft_peers_proxies')),
        ),
      );
      // One that has moved lately is known at both places.
      return known.every(count => count >= PODS);
    });
    await api.post(SERVERS, {
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: 'web' },
      spec: { podSelector: { matchLabels: { app: 'web' } }, port: 8080, proxyProtocol: 'HTTP/1' },
    });
    await eventually('all have it', async () => (await programmed()).startsWith(`${PODS}/${PODS} proxies`), 60_000);
    expect([...replicas.values()].filter(({ operator }) => operator.leading())).toHaveLength(1);
  }, 120_000);

  it('name one that is gone, take its proxies, and go on counting', async () => {
    const leader = [...replicas.values()].find(({ operator }) => operator.leading());
    const other = [...replicas.values()].find(({ operator }) => !operator.leading());
    if (leader === undefined || other === undefined) throw new Error('no leader among replicas');
    replicas.delete(other.name);
    await other.operator.stop('test');
    await eventually('it is missed', async () => (await value(leader.metrics, 'weft_peers{state="missing"}')) === 1);
    await eventually(
      'its proxies are elsewhere',
      async () => {
        const streams = await Promise.all(
          [...replicas.values()].map(({ metrics }) => value(metrics, 'weft_config_streams')),
        );
        return streams.reduce((sum, count) => sum + count) === PODS;
      },
      60_000,
    );
    await api.merge(`${SERVERS}/web`, { spec: { proxyProtocol: 'HTTP/2' } });
    await eventually(
      'all have the change',
      async () => (await programmed()) === `${PODS}/${PODS} proxies at generation 2.`,
      60_000,
    );
    await api.delete(`${SLICES}/${other.name}`);
    await eventually(
      'it is expected no longer',
      async () => (await value(leader.metrics, 'weft_peers{state="missing"}')) === 0,
    );
    const object: RawObject = await api.get(`${SERVERS}/web`);
    expect(object.metadata.name).toBe('web');
  }, 180_000);
});
