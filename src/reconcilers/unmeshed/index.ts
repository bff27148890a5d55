// Pods that should have a proxy and have none: counted by every replica, and, where the installation allows it, made anew by the leader: evicted one at
// a time through the eviction API, which respects PodDisruptionBudgets. One global key. Sets no condition. RBAC: create on pods/eviction, which the
// chart grants with `operator.evictUnmeshed` alone. Imports L0 to L3.
import { type ApiClient, ApiError, type WriteGate } from '../../kube/index.ts';
import { isMeshed, type Snapshot, unmeshedPods } from '../../model/index.ts';
import {
  type Clock,
  type Controller,
  createController,
  done,
  type Logger,
  type Metrics,
  type ReconcileResult,
  requeueAfter,
} from '../../runtime/index.ts';
import { decide, type Eviction, workloadOf } from './decide.ts';

const KEY = 'pods';
/** Changes of pods come in bursts. */
const COALESCE_MS = 1_000;
/** After a refusal by a PodDisruptionBudget. */
const BUDGET_MS = 30_000;
const RESULTS = ['evicted', 'settled', 'budget', 'givenUp'] as const;

export interface UnmeshedReconcilerOptions {
  readonly snapshot: () => Snapshot;
  readonly onPublish: (listener: () => void) => void;
  readonly controlNamespace: string;
  /** Whether pods may be evicted at all. */
  readonly evict: boolean;
  readonly client: ApiClient;
  readonly gate: WriteGate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

export interface UnmeshedReconciler {
  readonly controller: Controller;
  /** Looks again, e.g. after becoming leader. */
  resync(): void;
}

export function createUnmeshedReconciler(options: UnmeshedReconcilerOptions): UnmeshedReconciler {
  const { snapshot, gate, clock, client } = options;
  const log = options.log.child({ component: 'unmeshed' });
  const count = options.metrics.gauge({
    name: 'weft_pods_unmeshed',
    help: 'Pods that should have a proxy and have none, because they were made while the injector was away.',
    zero: [{}],
  });
  const evictions = options.metrics.counter({
    name: 'weft_pods_evictions_total',
    help: 'Pods without a proxy that were to be made anew, by result.',
    labelNames: ['result'],
    zero: RESULTS.map(result => ({ result })),
  });
  const notBefore = new Map<string, number>();
  let last: Eviction | undefined;

  async function evict(eviction: Eviction, signal: AbortSignal): Promise<ReconcileResult> {
    const { namespace, name, uid } = eviction.pod.meta;
    const workload = workloadOf(eviction.pod) ?? '';
    try {
      await client.request({
        method: 'POST',
        path: `/api/v1/namespaces/${namespace}/pods/${name}/eviction`,
        body: {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { namespace, name },
          deleteOptions: { preconditions: { uid } },
        },
        signal,
      });
    } catch (thrown) {
      // 429: a PodDisruptionBudget. 404 and 409: it is gone, or another pod has its name.
      if (!(thrown instanceof ApiError) || ![404, 409, 429].includes(thrown.status)) throw thrown;
      if (thrown.status === 429) evictions.inc({ result: 'budget' });
      notBefore.set(workload, clock.nowMs() + BUDGET_MS);
      return requeueAfter(COALESCE_MS);
    }
    last = eviction;
    evictions.inc({ result: 'evicted' });
    log.info('pod without a proxy evicted', { namespace, name });
    return requeueAfter(COALESCE_MS);
  }

  const controller = createController({
    ...options,
    name: 'unmeshed',
    reconcile: async (_key, { signal }) => {
      const { pods, namespaces } = snapshot();
      const unmeshed = unmeshedPods({ pods, namespaces }, options.controlNamespace);
      count.set(unmeshed.length);
      // What a workload did is forgotten once it has no such pod any more.
      const concerned = new Set(unmeshed.map(workloadOf));
      for (const workload of notBefore.keys()) if (!concerned.has(workload)) notBefore.delete(workload);
      if (!options.evict || !gate.mayWrite()) return done;
      const decision = decide({ nowMs: clock.nowMs(), pods: pods.values(), unmeshed, last, notBefore, isMeshed });
      switch (decision.kind) {
        case 'evict':
          return await evict(decision.eviction, signal);
        case 'wait':
          return requeueAfter(decision.afterMs);
        case 'settled':
          last = undefined;
          evictions.inc({ result: 'settled' });
          return requeueAfter(COALESCE_MS);
        case 'giveUp':
          last = undefined;
          notBefore.set(decision.workload, Number.POSITIVE_INFINITY);
          evictions.inc({ result: 'givenUp' });
          log.warn('workload without proxies left alone', { workload: decision.workload, reason: decision.reason });
          return requeueAfter(COALESCE_MS);
        case 'nothing':
        default:
          return done;
      }
    },
  });
  const resync = (): void => controller.enqueueAfter(KEY, COALESCE_MS);
  options.onPublish(resync);
  return { controller, resync };
}
