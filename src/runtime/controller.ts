// The loop every reconciler runs in: take a key, reconcile it, act on the result. One bad key never stops the loop.
import { randomUUID } from 'node:crypto';
import type { Clock, Logger, Metrics } from './ports.ts';
import { createWorkqueue, type Priority, type Workqueue } from './workqueue.ts';

/** What a run asks for. Asking for a delay and reporting an error at once is impossible by type. */
export type ReconcileResult =
  | { readonly kind: 'done' }
  /** All is well, look again after this time. */
  | { readonly kind: 'requeueAfter'; readonly afterMs: number }
  /** Try again with growing delays. `conflict` marks an ordinary optimistic-lock retry: not an error in the metrics. */
  | { readonly kind: 'retry'; readonly error: Error; readonly conflict?: boolean }
  /** Trying again cannot help until something changes; logged and counted once. */
  | { readonly kind: 'terminal'; readonly error: Error };

export const done: ReconcileResult = { kind: 'done' };
export const requeueAfter = (afterMs: number): ReconcileResult => ({ kind: 'requeueAfter', afterMs });

export type Reconcile = (key: string, context: ReconcileContext) => Promise<ReconcileResult>;

export interface ReconcileContext {
  readonly signal: AbortSignal;
  /** Carries controller, key and reconcileId. */
  readonly log: Logger;
}

export interface ControllerOptions {
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  /** Number of keys worked on at the same time. Default 1. */
  readonly workers?: number;
  readonly retryBaseMs?: number;
  readonly retryMaxMs?: number;
}

export interface Controller {
  readonly name: string;
  enqueue(key: string, priority?: Priority): void;
  enqueueAfter(key: string, delayMs: number): void;
  /** Since when the loop has got nowhere: the start of its longest run, or its last step while keys wait. Now, when there is nothing to do. */
  health(): { readonly lastActivityMs: number };
  /** Works until `signal` aborts and the runs in flight have ended. Call once. */
  run(signal: AbortSignal): Promise<void>;
}

const RESULTS = ['done', 'requeueAfter', 'conflict', 'retry', 'terminal', 'panic'] as const;
type ResultLabel = (typeof RESULTS)[number];

function controllerMetrics(metrics: Metrics, controller: string) {
  const label = { controller };
  return {
    runs: metrics.counter({
      name: 'weft_reconcile_total',
      help: 'Reconcile runs by controller and result.',
      labelNames: ['controller', 'result'],
      zero: RESULTS.map(result => ({ controller, result })),
    }),
    duration: metrics.histogram({
      name: 'weft_reconcile_duration_seconds',
      help: 'Duration of one reconcile run.',
      labelNames: ['controller'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      zero: [label],
    }),
    depth: metrics.gauge({
      name: 'weft_workqueue_depth',
      help: 'Keys waiting to be reconciled.',
      labelNames: ['controller'],
      zero: [label],
    }),
    adds: metrics.counter({
      name: 'weft_workqueue_adds_total',
      help: 'Keys handed to the queue, before deduplication.',
      labelNames: ['controller'],
      zero: [label],
    }),
    retries: metrics.counter({
      name: 'weft_workqueue_retries_total',
      help: 'Keys put back with a growing delay.',
      labelNames: ['controller'],
      zero: [label],
    }),
  };
}

function settle(queue: Workqueue, key: string, result: ReconcileResult): void {
  if (result.kind === 'retry') {
    queue.addRateLimited(key);
    return;
  }
  queue.forget(key);
  if (result.kind === 'requeueAfter') queue.addAfter(key, result.afterMs);
}

const isConflict = (result: ReconcileResult): boolean => result.kind === 'retry' && result.conflict === true;

function labelOf(result: ReconcileResult, panicked: boolean): ResultLabel {
  if (panicked) return 'panic';
  return isConflict(result) ? 'conflict' : result.kind;
}

export function createController(options: ControllerOptions): Controller {
  const { name, reconcile, clock, metrics, random, workers = 1, retryBaseMs = 50, retryMaxMs = 60_000 } = options;
  const log = options.log.child({ controller: name });
  const meters = controllerMetrics(metrics, name);
  const label = { controller: name };
  const queue = createWorkqueue({
    backoff: { baseMs: retryBaseMs, maxMs: retryMaxMs, minMs: 5, random },
    onDepth: depth => meters.depth.set(depth, label),
  });

  const starts = new Map<string, number>();
  let lastStepMs = clock.nowMs();

  async function runOnce(key: string, signal: AbortSignal): Promise<void> {
    const runLog = log.child({ key, reconcileId: randomUUID().slice(0, 8) });
    const startMs = clock.nowMs();
    let result: ReconcileResult;
    let panicked = false;
    try {
      result = await reconcile(key, { signal, log: runLog });
    } catch (thrown) {
      panicked = true;
      result = { kind: 'retry', error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
    }
    const durationMs = clock.nowMs() - startMs;
    meters.duration.observe(durationMs / 1000, label);
    // A run that was called off by shutdown is neither a success nor a failure.
    if (signal.aborted) return;
    meters.runs.inc({ ...label, result: labelOf(result, panicked) });
    if (result.kind === 'retry') meters.retries.inc(label);
    if ((result.kind === 'retry' && !isConflict(result)) || result.kind === 'terminal') {
      runLog.warn('reconcile failed', { err: result.error, result: result.kind, durationMs });
    }
    settle(queue, key, result);
  }

  async function work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const key = await queue.get(signal);
      if (key === undefined) return;
      lastStepMs = clock.nowMs();
      starts.set(key, lastStepMs);
      try {
        await runOnce(key, signal);
      } finally {
        lastStepMs = clock.nowMs();
        starts.delete(key);
        queue.done(key);
      }
    }
  }

  return {
    name,
    enqueue: (key, priority) => {
      meters.adds.inc(label);
      queue.add(key, priority);
    },
    enqueueAfter: (key, delayMs) => queue.addAfter(key, delayMs),
    health: () => {
      const longestMs = Math.min(...starts.values());
      return { lastActivityMs: Math.min(longestMs, queue.depth > 0 ? lastStepMs : clock.nowMs()) };
    },
    run: async signal => {
      await Promise.all(Array.from({ length: workers }, () => work(signal)));
      queue.close();
    },
  };
}
