// The steps of the bench, one after the other on one cluster.
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestApi } from '../../src/kube/testing/api-server.ts';
import { bundle } from '../../tools/build.ts';
import { cpuNs } from '../proc.ts';
import { component } from '../../e2e/cluster/index.ts';
import { type Child, prefer, startChild } from './child.ts';
import { nowMs } from './clock.ts';
import { type ScaleCluster, startScaleCluster } from './cluster.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { addressOf } from './marker.ts';
import { type OperatorProcess, type Sample, startOperatorProcess } from './operator-process.ts';
import {
  type Certified,
  type Churn,
  distribution,
  type Injection,
  type PushReading,
  type Storm,
  type Usage,
} from './results.ts';

const FLOOR_PATH = '/api/v1/namespaces/default/configmaps';
const PATIENCE_MS = 120_000;
const HEAVY = -1;

export interface RigOptions {
  readonly name: string;
  readonly services: number;
  readonly podsPerService: number;
  /** CPUs of the operator and the floor; those of the proxies. */
  readonly cpus: { readonly servers: string; readonly proxies: string };
  readonly processes: number;
  /** Whether what is measured runs before everything else on the machine; takes root. */
  readonly first: boolean;
  readonly nodeOptions: readonly string[];
  readonly say: (line: string) => void;
}

export interface Rig {
  readonly cluster: ScaleCluster;
  readonly fleet: Fleet;
  readonly usage: Usage[];
  operator(): OperatorProcess;
  /** So many proxies are connected from now on, more than before. */
  connect(proxies: number): Promise<void>;
  /** The same streams to the floor. */
  connectFloor(proxies: number): Promise<void>;
  closeFloor(): Promise<void>;
  push(step: PushReading['step'], round: number): Promise<PushReading>;
  pushFloor(step: PushReading['step'], round: number): Promise<PushReading>;
  storm(): Promise<Storm>;
  churn(perSecond: number, seconds: number): Promise<Churn>;
  certify(count: number, atOnce: number): Promise<Certified>;
  inject(during: Injection['during'], count: number): Promise<Injection>;
  note(at: string): Promise<Usage>;
  stop(): Promise<void>;
}

export async function startRig(options: RigOptions): Promise<Rig> {
  const { say } = options;
  const cluster = await startScaleCluster(options.name, options, async () => {
    if (!options.first) return;
    for (const program of ['etcd', 'kube-apiserver'] as const) prefer(await component(options.name, program).pid());
  });
  say(`written: ${options.services} Services, ${cluster.proxies.length} pods`);
  let operator = await startOperatorProcess({
    script: await bundle('operator'),
    api: cluster.api,
    kubeconfig: cluster.kubeconfig,
    cpus: options.cpus.servers,
    first: options.first,
    nodeOptions: options.nodeOptions,
  });
  const fleet = startFleet({ processes: options.processes, cpus: options.cpus.proxies, first: options.first });
  const floor = startChild({
    argv: [join(import.meta.dirname, 'floor.ts')],
    cpus: options.cpus.servers,
    first: options.first,
    ipc: true,
  });
  const floorOrigin = (await floor.ask('listen', {})) as { readonly port: number; readonly rootPem: string };
  await cluster.api.post(FLOOR_PATH, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'floor' } });
  await floor.ask('watch', { kubeconfig: cluster.kubeconfig, path: FLOOR_PATH });
  const usage: Usage[] = [];
  let last: { readonly sample: Sample; readonly ms: number; readonly pid: number } | undefined;
  let connected = 0;
  let onFloor = 0;
  let write = 0;
  const lastMessages = new Map<PushReading['step'], string>();

  async function note(at: string): Promise<Usage> {
    const sample = await operator.sample();
    const now = { sample, ms: nowMs(), pid: operator.pid };
    const before = last?.pid === now.pid ? last : undefined;
    const seconds = before === undefined ? 0 : (now.ms - before.ms) / 1_000;
    const cpuShare = before === undefined ? 0 : (sample.cpuMs - before.sample.cpuMs) / (now.ms - before.ms);
    last = now;
    const noted = { at, proxies: connected, rssMb: sample.rssMb, heapMb: sample.heapMb, cpuShare, seconds };
    usage.push(noted);
    say(
      `${at}: ${noted.rssMb.toFixed(0)} MB, heap ${noted.heapMb.toFixed(0)} MB, ${(100 * cpuShare).toFixed(0)} % CPU`,
    );
    return noted;
  }

  async function connect(proxies: number): Promise<void> {
    if (cluster.proxies.length < proxies) await cluster.grow(proxies - cluster.proxies.length);
    const { ports, rootPem } = operator;
    const added = cluster.proxies.slice(connected, proxies);
    const startMs = nowMs();
    const served = await fleet.add({ fleet: 'weft', port: ports.config, rootPem }, added, 200);
    if (served !== added.length) throw new Error(`${served} of ${added.length} proxies hold what they asked for`);
    connected = proxies;
    say(`${proxies} proxies hold what they asked for after ${((nowMs() - startMs) / 1_000).toFixed(1)} s`);
  }

  async function connectFloor(proxies: number): Promise<void> {
    const added = Array.from({ length: proxies - onFloor }, () => ({ token: '', names: [] }));
    const served = await fleet.add({ fleet: 'floor', ...floorOrigin }, added, 200);
    if (served !== added.length) throw new Error(`the floor serves ${served} of ${added.length}`);
    onFloor = proxies;
  }

  const answers = async (): Promise<number> => (await operator.metrics())('weft_config_answers_total');

  async function push(step: PushReading['step'], round: number): Promise<PushReading> {
    const resource = step === 'endpoints' ? cluster.hot.endpoints : cluster.hot.outbound;
    await fleet.arm('weft', resource);
    const before = await answers();
    const usedNs = cpuNs(operator.pid);
    write += 1;
    const startMs = nowMs();
    await (step === 'endpoints' ? cluster.setAddress(HEAVY, addressOf(write)) : cluster.setWeight(write));
    const writtenMs = nowMs() - startMs;
    const { receivedMs, message } = await fleet.received(connected, PATIENCE_MS);
    const cpuMs = (cpuNs(operator.pid) - usedNs) / 1e6;
    lastMessages.set(step, message);
    const endMs = nowMs() + PATIENCE_MS;
    while ((await answers()) < before + receivedMs.length && nowMs() < endMs) await sleep(5);
    const ackedMs = nowMs() - startMs;
    return {
      ...times(receivedMs, startMs),
      step,
      subject: 'weft',
      proxies: connected,
      round,
      writtenMs,
      ackedMs,
      cpuMs,
    };
  }

  async function pushFloor(step: PushReading['step'], round: number): Promise<PushReading> {
    const bytes = lastMessages.get(step);
    if (bytes === undefined) throw new Error('the floor pushes what the operator has pushed before');
    await floor.ask('load', { bytes });
    const resource = step === 'endpoints' ? cluster.hot.endpoints : cluster.hot.outbound;
    await fleet.arm('floor', resource);
    const usedNs = cpuNs(floor.pid);
    const startMs = nowMs();
    await cluster.api.merge(`${FLOOR_PATH}/floor`, { data: { round: `${step} ${round} ${startMs}` } });
    const writtenMs = nowMs() - startMs;
    const { receivedMs } = await fleet.received(onFloor, PATIENCE_MS);
    const cpuMs = (cpuNs(floor.pid) - usedNs) / 1e6;
    const { ackedMs } = (await floor.ask('result', {})) as { readonly ackedMs: number };
    const reading = { step, subject: 'floor', proxies: onFloor, round, writtenMs, cpuMs } as const;
    return { ...times(receivedMs, startMs), ...reading, ackedMs: ackedMs - startMs };
  }

  async function storm(): Promise<Storm> {
    const startMs = nowMs();
    operator = await operator.restart();
    const readyMs = nowMs() - startMs;
    const { acceptedMs } = await fleet.served('weft', startMs, PATIENCE_MS);
    const { cpuMs } = await operator.sample();
    const { firstMs, medianMs, lastMs, received } = times(acceptedMs, startMs);
    return { proxies: connected, readyMs, firstMs, medianMs, lastMs, served: received, operatorCpuMs: cpuMs };
  }

  async function churn(perSecond: number, seconds: number): Promise<Churn> {
    const publications = async (): Promise<number> => (await operator.metrics())('weft_compile_total');
    const before = {
      counts: await fleet.counts(),
      publications: await publications(),
      sample: await operator.sample(),
    };
    await fleet.churn(true);
    const first = write + 1;
    const writtenMs = new Map<number, number>();
    const startMs = nowMs();
    const under = new Set<Promise<void>>();
    for (let index = 0; index < perSecond * seconds; index += 1) {
      const waitMs = startMs + (index * 1_000) / perSecond - nowMs();
      if (waitMs > 1) await sleep(waitMs);
      write += 1;
      writtenMs.set(write, nowMs());
      const one = cluster.setAddress(index % cluster.serviceCount, addressOf(write));
      under.add(one);
      void one.then(() => under.delete(one));
      if (under.size >= 50) await Promise.race(under);
    }
    await Promise.all(under);
    const tookMs = nowMs() - startMs;
    const sample = await operator.sample();
    await sleep(1_000);
    const seen = await fleet.churn(false);
    const lags: number[] = [];
    for (let index = 0; index + 1 < seen.length; index += 2) {
      const [marker = 0, atMs = 0] = [seen[index], seen[index + 1]];
      const fromMs = marker >= first ? writtenMs.get(marker) : undefined;
      if (fromMs !== undefined) lags.push(atMs - fromMs);
    }
    const counts = await fleet.counts();
    return {
      proxies: connected,
      seconds: tookMs / 1_000,
      writes: writtenMs.size,
      lag: distribution(lags),
      messages: counts.messages - before.counts.messages,
      bytes: counts.bytes - before.counts.bytes,
      strangers: counts.strangers,
      publications: (await publications()) - before.publications,
      cpuShare: (sample.cpuMs - before.sample.cpuMs) / tookMs,
    };
  }

  async function certify(count: number, atOnce: number): Promise<Certified> {
    const tokens = cluster.proxies.slice(0, count).map(({ token }) => token);
    const startMs = nowMs();
    const { tookMs, refused } = await fleet.certify(tokens, atOnce);
    const perSecond = tookMs.length / ((nowMs() - startMs) / 1_000);
    return { count: tookMs.length, refused, atOnce, perSecond, took: distribution(tookMs) };
  }

  return {
    cluster,
    fleet,
    usage,
    operator: () => operator,
    connect,
    connectFloor,
    closeFloor: async () => {
      onFloor = 0;
      await fleet.close('floor');
    },
    push,
    pushFloor,
    storm,
    churn,
    certify,
    inject: async (during, count) => ({ during, took: await injections(cluster.api, operator.ports.webhook, count) }),
    note,
    stop: async () => {
      await Promise.all([fleet.stop(), operator.stop(), stopFloor(floor)]);
    },
  };
}

const stopFloor = (floor: Child): Promise<void> => floor.stop();

function times(receivedMs: readonly number[], startMs: number) {
  const at = (index: number): number => (receivedMs.at(index) ?? Number.NaN) - startMs;
  return {
    firstMs: at(0),
    medianMs: at(Math.floor(receivedMs.length / 2)),
    lastMs: at(-1),
    received: receivedMs.length,
  };
}

/** Reviews of pods as the API server sends them, one after the other on one kept connection. */
async function injections(api: TestApi, port: number, count: number) {
  const secret = (await api.get('/api/v1/namespaces/weft-system/secrets/weft-webhook-tls'))['data'] as {
    readonly 'ca.crt': string;
  };
  const ca = Buffer.from(secret['ca.crt'], 'base64').toString();
  const { Agent } = await import('node:https');
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca, servername: 'weft-operator.weft-system.svc' });
  const body = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'scale',
      operation: 'CREATE',
      namespace: 'scale-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { generateName: 'scale-', labels: { app: 'scale' } },
        spec: { containers: [{ name: 'app', image: 'localhost/app:1', ports: [{ containerPort: 8080 }] }] },
      },
    },
  });
  const one = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const startMs = nowMs();
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const options = { host: '127.0.0.1', port, path: '/inject', method: 'POST', agent, headers };
      const call = request(options, response => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.once('end', () => {
          if (response.statusCode === 200 && text.includes('"patch"')) resolve(nowMs() - startMs);
          else reject(new Error(`the injector answers ${response.statusCode ?? 0}: ${text}`));
        });
      });
      call.once('error', reject);
      call.end(body);
    });
  const tookMs: number[] = [];
  for (let index = 0; index < count; index += 1) {
    tookMs.push(await one());
    await sleep(10);
  }
  agent.destroy();
  return distribution(tookMs);
}
