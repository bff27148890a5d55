// Canaries: rolls out new revisions of Deployments step by step, and back. The root kind is Canary; Deployments, Services, TrafficSplits and autoscalers
// that concern one wake it up. Sets the conditions Accepted and Promoted. RBAC: rbac.ts. Runs in a process of its own, because it reads Secrets of all
// namespaces. `decide.ts` lists the phases. Imports L0 to L3.
import { AppError } from '../../kernel/index.ts';
import type { ApiClient, EventRecorder, StatusWriter, Store, WriteGate, Writer } from '../../kube/index.ts';
import {
  type Clock,
  type Controller,
  createController,
  done,
  type Logger,
  type Metrics,
  requeueAfter,
} from '../../runtime/index.ts';
import { answer } from './answer.ts';
import { createRead } from './gather.ts';
import { type CanaryFacts, canariesOf, type RelatedFacts } from './map.ts';
import { createMeters } from './meters.ts';
import type { Phase } from './observed.ts';
import { send } from './send.ts';
import { createTeller } from './tell.ts';
import { tick } from './tick.ts';

export { decodeCanary, decodeRelated, type CanaryFacts, type RelatedFacts } from './map.ts';
export { canaryRbac } from './rbac.ts';
export { AUTOSCALERS, CANARIES, DEPLOYMENTS, SERVICES, SPLITS } from './types.ts';
export { canaryProblems } from './validate.ts';

export interface CanaryReconcilerOptions {
  readonly client: ApiClient;
  readonly canaries: Store<CanaryFacts>;
  /** Deployments, Services and so on. */
  readonly related: readonly Store<RelatedFacts>[];
  /** Canaries with another class are left alone. */
  readonly controllerClass: string;
  readonly metricsServer: string;
  readonly gate: WriteGate;
  readonly writer: Writer;
  readonly status: StatusWriter;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

export interface CanaryReconciler {
  readonly controller: Controller;
  resync(): void;
  /** Ends what is being told, and resolves when it has ended. */
  close(): Promise<void>;
}

/** A look may wait for hooks; one that is slow holds up no other Canary but past this number. */
const WORKERS = 16;

export function createCanaryReconciler(options: CanaryReconcilerOptions): CanaryReconciler {
  const { client, canaries, related, controllerClass, metricsServer, gate, clock, log, metrics, random } = options;
  const closing = new AbortController();
  const meters = createMeters(metrics);
  const readFor = (signal: AbortSignal) => createRead(client, signal);
  const teller = createTeller({ send, read: readFor(closing.signal), log, signal: closing.signal });
  /** Only for metrics: what was seen last. */
  const seen = new Map<string, Phase>();
  const mine = (): CanaryFacts[] =>
    [...canaries.snapshot().values()].filter(canary => canary.controllerClass === controllerClass);
  const isMine = (key: string): boolean => mine().some(({ namespace, name }) => `${namespace}/${name}` === key);

  const controller = createController({
    name: 'canary',
    clock,
    log,
    metrics,
    random,
    workers: WORKERS,
    reconcile: async (key, { signal }) => {
      if (!gate.mayWrite()) return done;
      const [namespace = '', name = ''] = key.split('/');
      if (!isMine(key)) {
        meters.forget(namespace, name, seen.get(key));
        seen.delete(key);
        return done;
      }
      const ports = {
        ...options,
        read: readFor,
        ask: async (question: Parameters<typeof answer>[1], asking: AbortSignal) =>
          await answer({ send, read: readFor(asking), metricsServer }, question, asking),
        tell: (...told: Parameters<typeof teller.tell>) => teller.tell(...told),
      };
      try {
        const decision = await tick(ports, namespace, name, signal);
        if (decision === undefined) return done;
        meters.observe(namespace, name, seen.get(key), decision);
        seen.set(key, decision.progress.phase);
        return decision.againMs === undefined ? done : requeueAfter(decision.againMs);
      } catch (thrown) {
        const error = AppError.from(thrown);
        return { kind: 'retry', error, conflict: error.code === 'aborted' };
      }
    },
  });

  const keyOf = ({ namespace, name }: CanaryFacts): string => `${namespace}/${name}`;
  canaries.onChange(({ before, after }) => {
    for (const facts of [before, after]) if (facts !== undefined) controller.enqueue(keyOf(facts));
  });
  for (const store of related) {
    store.onChange(({ before, after }) => {
      for (const facts of [before, after])
        if (facts !== undefined) for (const key of canariesOf(facts, mine())) controller.enqueue(key);
    });
  }
  return {
    controller,
    resync: () => {
      for (const canary of mine()) controller.enqueue(keyOf(canary));
    },
    close: async () => {
      closing.abort(new Error('shutting down'));
      await teller.idle();
    },
  };
}
