// Status: the conditions Accepted, ResolvedRefs, Programmed and Ready of every kind that is ours, from what compile says (StatusPlan) and from what
// proxies have acknowledged (ProxyRegistry). The one root is "an object with conditions". Reasons: src/compile/reasons.ts. Leader only; nothing
// depends on a status having been written, but that people see it. RBAC: rbac.ts. Imports L0 to L3.
import type { ObjectKey } from '../../kernel/index.ts';
import type { ResourceType, StatusWriter, Store, WriteGate } from '../../kube/index.ts';
import type { CustomObject, ProxyRegistry, StatusPlan } from '../../model/index.ts';
import {
  type Clock,
  type Controller,
  createController,
  done,
  type Logger,
  type Metrics,
  requeueAfter,
} from '../../runtime/index.ts';
import { decide } from './decide.ts';
import { gather } from './gather.ts';
import { changedPlans } from './map.ts';

export { rbac } from './rbac.ts';

export interface StatusKind {
  readonly type: ResourceType;
  readonly store: Store<CustomObject>;
}

export interface StatusReconcilerOptions {
  readonly kinds: readonly StatusKind[];
  /** Of the last publication. */
  readonly plans: () => ReadonlyMap<ObjectKey, StatusPlan>;
  readonly onPublish: (listener: () => void) => void;
  readonly registry: Pick<ProxyRegistry, 'holders' | 'onChange'>;
  readonly gate: WriteGate;
  readonly status: StatusWriter;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  /** Acknowledgements are looked at this long after the first of a burst. Default 100 ms. */
  readonly acksMs?: number;
}

export interface StatusReconciler {
  readonly controller: Controller;
  /** Looks at every object again, e.g. after becoming leader. */
  resync(): void;
}

export function createStatusReconciler(options: StatusReconcilerOptions): StatusReconciler {
  const { kinds, plans, registry, gate, status, clock, log, metrics, random, acksMs = 100 } = options;
  const types = new Map(kinds.map(kind => [`${kind.type.group}/${kind.type.kind}`, kind]));
  const kindOf = (key: ObjectKey): StatusKind | undefined => types.get(key.split('/').slice(0, 2).join('/'));
  let lastPlans: ReadonlyMap<ObjectKey, StatusPlan> = new Map();

  const controller = createController({
    name: 'status',
    clock,
    log,
    metrics,
    random,
    // Each is one small request; more at once only help a first start with many objects.
    workers: 4,
    reconcile: async (queued, { signal }) => {
      const key = queued as ObjectKey;
      const kind = kindOf(key);
      if (kind === undefined || !gate.mayWrite()) return done;
      const input = gather(key, {
        object: found => kind.store.get(found),
        plan: found => plans().get(found),
        registry,
      });
      if (input === undefined) {
        if (kind.store.get(key) === undefined) status.forget(key);
        return done;
      }
      const outcome = await status.write({
        key,
        type: kind.type,
        uid: input.object.meta.uid,
        plan: decide(input),
        current: input.stored,
        signal,
      });
      return outcome.kind === 'later' ? requeueAfter(outcome.afterMs) : done;
    },
  });

  options.onPublish(() => {
    const current = plans();
    for (const key of changedPlans(lastPlans, current)) controller.enqueue(key);
    lastPlans = current;
  });
  registry.onChange(() => {
    for (const key of plans().keys()) controller.enqueueAfter(key, acksMs);
  });
  for (const { store } of kinds) {
    store.onChange(({ key, before, after }) => {
      // Spec changes come back through a publication; here only somebody else's hand in the status matters, and objects that are gone.
      if (after === undefined || before?.conditions !== after.conditions) controller.enqueue(key, 'low');
    });
  }
  return {
    controller,
    resync: () => {
      for (const key of plans().keys()) controller.enqueue(key, 'low');
    },
  };
}
