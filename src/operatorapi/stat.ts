import { setTimeout as delay } from 'node:timers/promises';
import type { StatAnswer, StatRow } from '../contract/index.ts';
import { isMeshed, isRunning, type PodFacts } from '../model/index.ts';
import type { OperatorApiPorts } from './ports.ts';
import { difference, figuresOf, NO_TRAFFIC, readTraffic, sum, type Traffic } from './traffic.ts';

type StatPorts = Pick<OperatorApiPorts, 'replica' | 'snapshot' | 'fetchMetrics' | 'clock'>;

const PARALLEL = 8;
const TIMEOUT_MS = 2_000;
const ADMIN_PORT = 4191;

export interface StatQuestion {
  readonly namespace: string;
  /** Between two readings, at most 60; 0: one reading. */
  readonly windowSeconds: number;
  readonly signal: AbortSignal;
}

/** Reads the metrics of every proxy of the namespace, twice, and adds them up by workload. */
export async function statAnswer(
  ports: StatPorts,
  { namespace, windowSeconds, signal }: StatQuestion,
): Promise<StatAnswer> {
  const pods = [...ports.snapshot().pods.values()].filter(pod => pod.meta.namespace === namespace && isRunning(pod));
  const meshed = pods.filter(isMeshed);
  const startedMs = ports.clock.nowMs();
  const first = windowSeconds === 0 ? new Map() : await readAll(ports, meshed, signal);
  if (windowSeconds > 0) await delay(windowSeconds * 1000, undefined, { signal });
  const middleMs = ports.clock.nowMs();
  const second = await readAll(ports, meshed, signal);
  const seconds = windowSeconds === 0 ? 0 : (middleMs - startedMs) / 1000;
  const traffic = new Map<PodFacts, Traffic>();
  const unreachable = [];
  for (const pod of meshed) {
    const [before, after] = [first.get(pod), second.get(pod)];
    // A proxy whose first reading failed has no difference to show.
    const failure = after instanceof Error ? after : windowSeconds > 0 && before instanceof Error ? before : undefined;
    if (failure !== undefined) unreachable.push({ namespace, pod: pod.meta.name, reason: failure.message });
    else if (after !== undefined && !(after instanceof Error))
      traffic.set(pod, before === undefined ? after : difference(after, before));
  }
  const rows = [...Map.groupBy(pods, workloadOf)].map(([workload, members]) =>
    rowOf(workload, { members, traffic, seconds }),
  );
  return {
    replica: ports.replica,
    windowSeconds,
    rows: rows
      .filter(row => row.pods.meshed > 0)
      .toSorted((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1)),
    unreachable,
  };
}

type Readings = Map<PodFacts, Traffic | Error>;

async function readAll({ fetchMetrics }: StatPorts, pods: readonly PodFacts[], signal: AbortSignal): Promise<Readings> {
  const readings: Readings = new Map();
  const waiting = [...pods];
  const worker = async () => {
    for (let pod = waiting.pop(); pod !== undefined; pod = waiting.pop()) readings.set(pod, await read(pod));
  };
  const read = async (pod: PodFacts): Promise<Traffic | Error> => {
    const url = metricsUrl(pod);
    if (url === undefined) return NO_TRAFFIC;
    try {
      return readTraffic(await fetchMetrics(url, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])));
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  signal.throwIfAborted();
  return readings;
}

/** Undefined: the pod has no address yet. */
function metricsUrl(pod: PodFacts): string | undefined {
  const [ip] = pod.ips;
  if (ip === undefined) return undefined;
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${ADMIN_PORT}/metrics`;
}

function workloadOf(pod: PodFacts): string {
  return pod.owner === undefined ? `Pod/${pod.meta.name}` : `${pod.owner.kind}/${pod.owner.name}`;
}

interface Members {
  readonly members: readonly PodFacts[];
  readonly traffic: ReadonlyMap<PodFacts, Traffic>;
  readonly seconds: number;
}

function rowOf(workload: string, { members, traffic, seconds }: Members): StatRow {
  const [kind = '', name = ''] = workload.split('/');
  const parts = members.flatMap(pod => traffic.get(pod) ?? []);
  return {
    namespace: members[0]?.meta.namespace ?? '',
    kind,
    name,
    pods: { total: members.length, meshed: members.filter(isMeshed).length },
    ...figuresOf(sum(parts), seconds),
  };
}
