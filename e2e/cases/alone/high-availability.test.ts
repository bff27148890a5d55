import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { install } from '../../../tools/install.ts';
import { component, nodeExec, nodeRun } from '../../cluster/index.ts';
import {
  apply,
  clusterName,
  eventually,
  getObject,
  killInPod,
  kubectl,
  type KubernetesObject,
  type LoadReport,
  podAddresses,
  type RunningLoad,
  runLoad,
  serverApp,
  startLoad,
  trafficSplit,
  twoVersions,
  waitAnswered,
  waitRollout,
  weft,
} from '../../harness/index.ts';

const namespace = `high-availability-${Math.random().toString(36).slice(2, 6)}`;
const REPLICAS = 3;
const OPERATOR = 'app.kubernetes.io/name=weft-operator';
const WAIT = { deadlineMs: 180_000, everyMs: 100 };
const chart = join(import.meta.dirname, '../../../charts/weft');
let enforced: 'v1' | 'v2' = 'v1';

const operators = async () => await podAddresses('weft-system', OPERATOR);
const rest = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

async function leader(): Promise<string> {
  const { spec } = await getObject<{ spec: { holderIdentity: string } }>('lease', 'weft-operator', 'weft-system');
  return spec.holderIdentity.split('_')[0] ?? '';
}

/** Names of replicas that the answer of `weft status` says to be missing. */
async function missing(): Promise<readonly string[]> {
  const { stdout } = await weft(['status', '-o', 'json']);
  return (JSON.parse(stdout) as { missing: { replica: string }[] }).missing.map(({ replica }) => replica);
}

/** Sends everything to the version that had nothing; answers with the milliseconds from `sinceMs` until it is in force. */
async function caughtUp(sinceMs: number): Promise<number> {
  await eventually(
    'the change is accepted',
    async () => {
      await move();
      return true;
    },
    WAIT,
  );
  return await inForce(sinceMs);
}

async function move(): Promise<void> {
  const [v1, v2] = enforced === 'v1' ? [0, 100] : [100, 0];
  await apply(trafficSplit(namespace, { 'web-v1': v1, 'web-v2': v2 }));
}

async function inForce(sinceMs: number): Promise<number> {
  const wanted = enforced === 'v1' ? 'v2' : 'v1';
  await eventually(
    `${wanted} alone answers`,
    async () => {
      const seen = await runLoad(namespace, 'client', {
        protocol: 'http1',
        target: 'http://web/',
        count: 10,
        concurrency: 1,
        durationMs: 10_000,
      });
      return seen.byBackend[wanted]?.count === 10;
    },
    WAIT,
  );
  enforced = wanted;
  return Date.now() - sinceMs;
}

async function load(protocol: 'http1' | 'grpc'): Promise<RunningLoad> {
  const target = protocol === 'grpc' ? 'web:9090' : 'http://web/';
  const running = await startLoad(namespace, 'client', { protocol, target, rate: 100, durationMs: 280_000 });
  await eventually(`${protocol} flows`, async () => (await running.report()).answered > 20, { deadlineMs: 60_000 });
  return running;
}

/**
 * 200 requests per second, half of them gRPC, while `act` runs, which answers with the time that catching up took. Resolves with how many of them
 * were not answered as they should be.
 */
async function lostUnderLoad(fault: string, act: () => Promise<number>): Promise<number> {
  const loads = await Promise.all([load('http1'), load('grpc')]);
  const caughtUpMs = await act();
  const reports = await Promise.all(loads.map(running => running.stop()));
  const sum = (pick: (report: LoadReport) => number): number => reports.reduce((all, one) => all + pick(one), 0);
  const [sent, failed] = [sum(report => report.sent), sum(report => report.failed)];
  const lost = failed + sent - sum(report => report.answered);
  const errors = lost === 0 ? '' : ` ${JSON.stringify(reports.map(report => report.errors))}`;
  console.log(`${fault}: ${lost} of ${sent} requests lost, caught up after ${caughtUpMs} ms${errors}`);
  return lost;
}

/** Nothing is refused and nobody is told: what the rules match is swallowed, until `heal`. Packets on the pods' bridge pass these hooks as well. */
async function cut(rules: readonly string[]): Promise<() => Promise<void>> {
  const chain = (hook: string): string =>
    `chain ${hook} { type filter hook ${hook} priority -5; policy accept;\n${rules.join('\n')}\n}`;
  const table = `table ip weft_cut {\n${['input', 'output', 'forward'].map(chain).join('\n')}\n}\n`;
  await nodeRun(clusterName, ['nft', '-f', '-'], { input: table });
  return async () => void (await nodeRun(clusterName, ['nft', 'delete', 'table', 'ip', 'weft_cut']));
}

async function unmeshedMetric(): Promise<number> {
  const [first] = await operators();
  const text = await nodeRun(clusterName, ['curl', '-sS', '--max-time', '5', `http://${first?.ip}:9990/metrics`]);
  return Number(/^weft_pods_unmeshed (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

beforeAll(async () => {
  // One node, and an application whose pods may start without the operator; all else as in the profile.
  const helmArgs = [
    '-f',
    join(chart, 'values-ha.yaml'),
    '--set=operator.affinity.podAntiAffinity=null,webhooks.injectFailurePolicy=Ignore,operator.evictUnmeshed=true',
    '--set=operator.resources.requests.cpu=10m',
  ];
  await install(clusterName, { helmArgs });
  await waitRollout('weft-system', 'weft-operator');
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
    },
    ...twoVersions(namespace),
    trafficSplit(namespace, { 'web-v1': 100, 'web-v2': 0 }),
  );
  await Promise.all(['web-v1', 'web-v2', 'client'].map(name => waitRollout(namespace, name)));
  await waitAnswered(namespace, 'client');
  await eventually('no replica misses another', async () => (await missing()).length === 0, WAIT);
});

afterAll(async () => {
  await nodeExec(clusterName, ['nft', 'delete', 'table', 'ip', 'weft_cut']);
  for (const program of ['etcd', 'kube-apiserver'] as const) await component(clusterName, program).start();
  await eventually('the API server answers', async () => (await kubectl(['get', '--raw', '/readyz'])) === 'ok', WAIT);
  await kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
  await install(clusterName);
});

describe('three replicas of the operator', () => {
  it('serve on when one that does not lead is killed', async () => {
    const lost = await lostUnderLoad('a replica killed', async () => {
      const leading = await leader();
      const victim = (await operators()).find(({ name }) => name !== leading);
      const killedMs = Date.now();
      expect(await killInPod(victim?.uid ?? '', 'operator')).toBeGreaterThan(0);
      return await caughtUp(killedMs);
    });
    expect(lost).toBe(0);
  });

  it('serve on when the leader is killed, and another writes', async () => {
    const lost = await lostUnderLoad('the leader killed', async () => {
      const leading = await leader();
      const victim = (await operators()).find(({ name }) => name === leading);
      const killedMs = Date.now();
      expect(await killInPod(victim?.uid ?? '', 'operator')).toBeGreaterThan(0);
      const tookMs = await caughtUp(killedMs);
      await eventually(
        'the change is told as in force',
        async () => {
          const split = await getObject<{
            metadata: { generation: number };
            status?: { conditions?: { type: string; status: string; observedGeneration: number }[] };
          }>('trafficsplit', 'web', namespace);
          const condition = split.status?.conditions?.find(({ type }) => type === 'Programmed');
          return condition?.status === 'True' && condition.observedGeneration === split.metadata.generation;
        },
        WAIT,
      );
      console.log(`its status was written ${Date.now() - killedMs} ms after the leader was killed`);
      return tookMs;
    });
    expect(lost).toBe(0);
  });

  it('are missed by nobody when all are killed at once', async () => {
    const lost = await lostUnderLoad('all replicas killed at once', async () => {
      const victims = await operators();
      expect(victims).toHaveLength(REPLICAS);
      const killedMs = Date.now();
      const killed = await Promise.all(victims.map(({ uid }) => killInPod(uid, 'operator')));
      expect(killed.every(count => count > 0)).toBe(true);
      const tookMs = await caughtUp(killedMs);
      await waitRollout('weft-system', 'weft-operator');
      return tookMs;
    });
    expect(lost).toBe(0);
  });

  it('ride out an API server that is away for a minute', async () => {
    const lost = await lostUnderLoad('the API server away for 60 s', async () => {
      await component(clusterName, 'kube-apiserver').stop();
      await rest(60_000);
      await component(clusterName, 'kube-apiserver').start();
      return await caughtUp(Date.now());
    });
    expect(lost).toBe(0);
  });

  it('ride out a restart of etcd', async () => {
    const lost = await lostUnderLoad('etcd restarted', async () => {
      const killedMs = Date.now();
      await component(clusterName, 'etcd').stop('SIGKILL');
      await component(clusterName, 'etcd').start();
      return await caughtUp(killedMs);
    });
    expect(lost).toBe(0);
  });

  it('ride out a network that swallows what they say to the API server, and learn what happened meanwhile', async () => {
    const lost = await lostUnderLoad('the way to the API server cut for 20 s', async () => {
      const pods = (await operators()).map(({ ip }) => ip).join(', ');
      const heal = await cut([`ip saddr { ${pods} } tcp dport 6443 drop`, `ip daddr { ${pods} } tcp sport 6443 drop`]);
      await move();
      await rest(20_000);
      const before = await runLoad(namespace, 'client', {
        protocol: 'http1',
        target: 'http://web/',
        count: 10,
        concurrency: 1,
        durationMs: 10_000,
      });
      // Nobody could know of the change.
      expect(before.byBackend[enforced]?.count).toBe(10);
      await heal();
      return await inForce(Date.now());
    });
    expect(lost).toBe(0);
  });

  it('name each other as missing while they cannot talk, and are whole again afterwards', async () => {
    const lost = await lostUnderLoad('the replicas cut off from each other', async () => {
      const pods = (await operators()).map(({ ip }) => ip).join(', ');
      const heal = await cut([`ip saddr { ${pods} } ip daddr { ${pods} } drop`]);
      await eventually('the others are missing', async () => (await missing()).length === REPLICAS - 1, WAIT);
      const { stderr } = await weft(['status']);
      expect(stderr).toMatch(/^not answered for: replica weft-operator-\S+ of the operator/m);
      const tookMs = await caughtUp(Date.now());
      const healedMs = Date.now();
      await heal();
      await eventually('nobody is missing', async () => (await missing()).length === 0, WAIT);
      console.log(`whole again ${Date.now() - healedMs} ms after the cut was healed`);
      return tookMs;
    });
    expect(lost).toBe(0);
  });

  it('find the pods that were made without them, and make anew those that a controller owns', async () => {
    const late = serverApp({ namespace, name: 'late', replicas: 2 });
    const [deployment] = late as (KubernetesObject & { spec: { template: { spec: object } } })[];
    const lost = await lostUnderLoad('pods made while no webhook answers', async () => {
      await kubectl(['scale', 'deployment/weft-operator', '-n', 'weft-system', '--replicas=0']);
      await eventually('no operator is left', async () => (await operators()).length === 0, WAIT);
      await apply(
        ...late,
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'lone', namespace },
          spec: deployment?.spec.template.spec,
        },
        {
          apiVersion: 'policy/v1',
          kind: 'PodDisruptionBudget',
          metadata: { name: 'late', namespace },
          spec: { minAvailable: 1, selector: { matchLabels: { app: 'late' } } },
        },
      );
      await waitRollout(namespace, 'late');
      await kubectl(['scale', 'deployment/weft-operator', '-n', 'weft-system', `--replicas=${REPLICAS}`]);
      await waitRollout('weft-system', 'weft-operator');
      const returnedMs = Date.now();
      await eventually(
        'status names it',
        async () => (await weft(['status'])).stdout.includes(`${namespace}/lone`),
        WAIT,
      );
      expect((await weft(['check'])).stdout).toContain(`${namespace}/lone`);
      await eventually('it is counted', async () => (await unmeshedMetric()) >= 1, WAIT);
      let fewest = 2;
      await eventually(
        'the Deployment has proxies',
        async () => {
          const { status } = await getObject<{ status: { availableReplicas?: number } }>(
            'deployment',
            'late',
            namespace,
          );
          fewest = Math.min(fewest, status.availableReplicas ?? 0);
          const pods = await podAddresses(namespace, 'app=late,weft.dev/proxy');
          return pods.length === 2 && status.availableReplicas === 2;
        },
        WAIT,
      );
      expect(fewest).toBeGreaterThanOrEqual(1);
      // Nobody would make it anew.
      expect((await weft(['status'])).stdout).toContain(`${namespace}/lone`);
      return Date.now() - returnedMs;
    });
    expect(lost).toBe(0);
  });
});
