import { parseMetrics } from '../../e2e/harness/metrics.ts';
import type { Kube } from './kube.ts';
import { backends, namespace } from './manifests.ts';

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
}

/** The running pod of one of the demo's applications. */
export async function podOf(kube: Kube, app: string): Promise<Pod> {
  const list = JSON.parse(await kube.kubectl(['get', 'pods', '-n', namespace, '-l', `app=${app}`, '-o', 'json'])) as {
    items: { metadata: { name: string; deletionTimestamp?: string }; status: { podIP?: string; phase?: string } }[];
  };
  const pod = list.items.find(item => item.status.phase === 'Running' && item.metadata.deletionTimestamp === undefined);
  if (pod?.status.podIP === undefined)
    throw new Error(`no pod of ${app} runs: ${kube.prefix} get pods -n ${namespace}`);
  return { namespace, name: pod.metadata.name, ip: pod.status.podIP };
}

/** What the frontend's proxy has counted so far for one backend. */
export interface Tally {
  readonly answers: number;
  readonly successes: number;
  readonly encrypted: number;
  readonly latencySumMs: number;
}

export async function tallies(kube: Kube, frontend: Pod): Promise<Map<string, Tally>> {
  const samples = parseMetrics(await kube.http(frontend, 4191, '/metrics'));
  const sum = (name: string, backend: string, labels: Readonly<Record<string, string>> = {}): number =>
    samples
      .filter(
        ({ name: of, labels: has }) =>
          of === name &&
          has['direction'] === 'outbound' &&
          has['dst_deployment'] === backend &&
          Object.entries(labels).every(([key, value]) => has[key] === value),
      )
      .reduce((total, sample) => total + sample.value, 0);
  return new Map(
    backends.map(backend => [
      backend,
      {
        answers: sum('response_total', backend),
        successes: sum('response_total', backend, { classification: 'success' }),
        encrypted: sum('response_total', backend, { tls: 'true' }),
        latencySumMs: sum('response_latency_ms_sum', backend),
      },
    ]),
  );
}

/** What happened between two readings. */
export function between(before: Tally | undefined, after: Tally | undefined): Tally {
  const minus = (field: keyof Tally): number => (after?.[field] ?? 0) - (before?.[field] ?? 0);
  return {
    answers: minus('answers'),
    successes: minus('successes'),
    encrypted: minus('encrypted'),
    latencySumMs: minus('latencySumMs'),
  };
}
