// Which pod is to be made anew next, if any. Pure.
//
// One at a time, and each workload proves itself: once one of its pods was evicted, the next is only when the successor came with a proxy and is
// ready. A workload whose successor came without one is left alone: something else than a webhook that was away keeps the proxy from it.
import type { PodFacts } from '../../model/index.ts';

/** Admission and the watch may be a little apart. */
const SETTLE_MS = 30_000;
/** A successor that has not come by then will not be waited for any longer. */
const SUCCESSOR_MS = 300_000;
const LOOK_AGAIN_MS = 2_000;
/** A Job counts an evicted pod as failed, and work would be lost; a pod of a node has nobody who makes it anew. */
const LEFT_ALONE: ReadonlySet<string> = new Set(['Job', 'Node']);

export interface Eviction {
  readonly pod: PodFacts;
  readonly atMs: number;
  /** Pods of the same workload that were there then, by UID. */
  readonly known: ReadonlySet<string>;
}

export interface UnmeshedInput {
  readonly nowMs: number;
  readonly pods: Iterable<PodFacts>;
  readonly unmeshed: readonly PodFacts[];
  /** The last one, until it is settled. */
  readonly last: Eviction | undefined;
  /** Workloads that are not to be touched before this time, by {@link workloadOf}. */
  readonly notBefore: ReadonlyMap<string, number>;
  readonly isMeshed: (pod: PodFacts) => boolean;
}

export type UnmeshedDecision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wait'; readonly afterMs: number }
  | { readonly kind: 'evict'; readonly eviction: Eviction }
  /** The last one is settled: its successor is as it should be. */
  | { readonly kind: 'settled' }
  | { readonly kind: 'giveUp'; readonly workload: string; readonly reason: string };

export function workloadOf(pod: PodFacts): string | undefined {
  const { owner, meta } = pod;
  return owner === undefined || LEFT_ALONE.has(owner.kind)
    ? undefined
    : `${owner.kind} ${meta.namespace}/${owner.name}`;
}

export function decide(input: UnmeshedInput): UnmeshedDecision {
  const { nowMs, unmeshed, last, notBefore } = input;
  if (last !== undefined) return judge(last, input);
  let soonestMs = Number.POSITIVE_INFINITY;
  for (const pod of unmeshed) {
    const workload = workloadOf(pod);
    if (workload === undefined) continue;
    const dueMs = Math.max(Date.parse(pod.meta.creationTimestamp) + SETTLE_MS, notBefore.get(workload) ?? 0);
    soonestMs = Math.min(soonestMs, dueMs);
    if (dueMs > nowMs) continue;
    const known = new Set(podsOf(workload, input.pods).map(({ meta }) => meta.uid));
    return { kind: 'evict', eviction: { pod, atMs: nowMs, known } };
  }
  return Number.isFinite(soonestMs) ? { kind: 'wait', afterMs: soonestMs - nowMs } : { kind: 'nothing' };
}

function judge({ pod, atMs, known }: Eviction, { nowMs, pods, isMeshed }: UnmeshedInput): UnmeshedDecision {
  const workload = workloadOf(pod) ?? '';
  const now = podsOf(workload, pods);
  const successors = now.filter(({ meta }) => !known.has(meta.uid));
  if (successors.some(successor => !isMeshed(successor)))
    return { kind: 'giveUp', workload, reason: 'its successor came without a proxy as well' };
  const isGone = now.every(({ meta }) => meta.uid !== pod.meta.uid);
  if (isGone && successors.some(({ ready }) => ready)) return { kind: 'settled' };
  if (nowMs - atMs > SUCCESSOR_MS) return { kind: 'giveUp', workload, reason: 'no ready successor came in time' };
  return { kind: 'wait', afterMs: LOOK_AGAIN_MS };
}

function podsOf(workload: string, pods: Iterable<PodFacts>): readonly PodFacts[] {
  return [...pods].filter(pod => workloadOf(pod) === workload);
}
