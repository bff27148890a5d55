import { compareText, type ObjectKey, type Problem } from '../kernel/index.ts';
import type { Snapshot, StatusPlan } from '../model/index.ts';
import type { CompileOptions } from './options.ts';
import type { Plan } from './plan/index.ts';
import { problemsOf, resolvePolicies, resolveSplits, settingProblems, statusPlan, worldOf } from './resolve/index.ts';

export interface Compiled {
  readonly plan: Plan;
  /** Accepted and ResolvedRefs of every object of ours; Programmed and Ready depend on proxies, see `status.ts`. In key order. */
  readonly statuses: ReadonlyMap<ObjectKey, StatusPlan>;
  /** Ordered by object, then path. */
  readonly problems: readonly Problem[];
}

/** Synchronous, total, deterministic: nothing that users write makes it throw, and equal snapshots give equal plans. */
export function compile(snapshot: Snapshot, options: CompileOptions): Compiled {
  const world = worldOf(snapshot, options);
  const splits = resolveSplits(snapshot, options.clusterDomain);
  const verdicts = [...splits.verdicts, ...resolvePolicies(world)].toSorted((left, right) =>
    compareText(left.object.key, right.object.key),
  );
  const problems = [...verdicts.flatMap(problemsOf), ...settingProblems(world)];
  return {
    plan: { world, splits: splits.byRoot },
    statuses: new Map(verdicts.map(verdict => [verdict.object.key, statusPlan(verdict)])),
    problems: problems.toSorted(
      (left, right) =>
        compareText(left.object, right.object) ||
        compareText(left.path, right.path) ||
        compareText(left.reason, right.reason),
    ),
  };
}
