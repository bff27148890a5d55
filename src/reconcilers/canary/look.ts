// One look at a Canary under way: what was found, and what has been decided of it so far. It lives for that look alone.
import { contentHash } from '../../kernel/index.ts';
import { type RawObject, type ResourceType, SECRETS } from '../../kube/index.ts';
import { conditionsOf } from './conditions.ts';
import { configCopy } from './desired/configs.ts';
import { primaryAutoscaler, primaryDeployment, scaled } from './desired/primary.ts';
import { routeGroup, trafficSplit } from './desired/routing.ts';
import { apexService, canaryService, primaryService } from './desired/services.ts';
import type { Subject } from './desired/subject.ts';
import type { Action, Alert, CanaryObject, Decision, HookPayload, Observed, Phase, Progress } from './observed.ts';
import type { CanaryPlan, HookType, Severity } from './plan.ts';
import { revisionOf } from './revision.ts';
import { weightOf } from './route.ts';
import { AUTOSCALERS, CONFIG_MAPS, DEPLOYMENTS, ROUTE_GROUPS, SERVICES, SPLITS } from './types.ts';

export interface LookOptions {
  readonly observed: Observed;
  readonly plan: CanaryPlan;
  readonly target: RawObject;
  readonly nowMs: number;
}

/** How far the objects around the two versions are to be there. */
type Scope = 'nothing' | 'split' | 'backends' | 'all';

export interface Look extends Subject {
  readonly observed: Observed;
  readonly nowMs: number;
  /** Of the target as it is now. */
  readonly revision: string;
  readonly progress: Progress;
  /** The canary's share: as the split says, or as it is going to say. */
  readonly weight: number;
  /** `namespace/name`, and target, as messages have them. */
  readonly who: string;
  readonly targetWho: string;
  /** Since the last step. */
  readonly elapsedMs: number;
  set(change: Partial<Progress>): void;
  /** Also the time of the step. */
  step(change: Partial<Progress>): void;
  enter(phase: Phase, change?: Partial<Progress>): void;
  route(weight: number): void;
  keep(scope: Scope): void;
  /** Has the primary made from the target as it is now, with copies of its ConfigMaps and Secrets. */
  copyToPrimary(): void;
  scale(replicas: number): void;
  /** To zero, before the status says so. */
  scaleDown(): void;
  giveBack(apex: RawObject): void;
  finalizers(names: readonly string[]): void;
  tell(type: 'Normal' | 'Warning', reason: string, note: string): void;
  /** Notes what holds the run, and tells it when that is news. */
  wait(gate: string, reason: string, note: string): void;
  alert(severity: Severity, message: string): void;
  notify(type: HookType): void;
  again(afterMs: number): void;
  payload(metadata: Readonly<Record<string, string>>): HookPayload;
  decision(): Decision;
}

export function createLook({ observed, plan, target, nowMs }: LookOptions): Look {
  const { canary } = observed;
  const subject: Subject = { canary, plan, target };
  const before = canary.progress;
  const revision = revisionOf(observed);
  const found = weightOf(observed.split, plan.apex);
  const own: Action[] = [];
  const scaling: Action[] = [];
  const given: Action[] = [];
  const events: Decision['events'][number][] = [];
  const alerts: Alert[] = [];
  const notices: Decision['notices'][number][] = [];
  let progress: Progress = { ...before, canaryWeight: found };
  let scope: Scope = 'nothing';
  let againMs: number | undefined;
  let statusLast = false;
  let finalizers: readonly string[] | undefined;
  const lastStepMs = Date.parse(before.lastStepTime);

  const action = (type: ResourceType, object: RawObject, current: RawObject | undefined, isOwn = true): Action => ({
    type,
    object,
    current,
    own: isOwn,
  });

  function backends(): readonly Action[] {
    const { services } = observed;
    return [
      action(SERVICES, canaryService(subject), services.canary),
      action(SERVICES, primaryService(subject), services.primary),
    ];
  }

  const split = (): Action => action(SPLITS, trafficSplit(subject, progress.canaryWeight), observed.split);

  function routing(): readonly Action[] {
    const { services, autoscaler, primaryAutoscaler: made } = observed;
    const apex = apexService(subject, services.apex);
    const group = routeGroup(subject);
    return [
      ...(autoscaler === undefined || made !== undefined
        ? []
        : [action(AUTOSCALERS, primaryAutoscaler(subject, autoscaler), undefined)]),
      ...(group === undefined ? [] : [action(ROUTE_GROUPS, group, observed.routeGroup)]),
      split(),
      action(SERVICES, apex.object, services.apex, apex.own),
    ];
  }

  function payload(metadata: Readonly<Record<string, string>>): HookPayload {
    const { phase, lastAppliedSpec, trackedConfigs } = progress;
    const checksum = contentHash({ lastAppliedSpec, trackedConfigs });
    return { name: canary.name, namespace: canary.namespace, phase, checksum, metadata };
  }

  const kept: Readonly<Record<Scope, () => readonly Action[]>> = {
    nothing: () => [],
    split: () => [split()],
    backends,
    all: () => [...backends(), ...routing()],
  };

  const look: Look = {
    ...subject,
    observed,
    nowMs,
    revision,
    get progress() {
      return progress;
    },
    get weight() {
      return progress.canaryWeight;
    },
    who: `${canary.name}.${canary.namespace}`,
    targetWho: `${plan.target}.${canary.namespace}`,
    // A time that cannot be, such as one of a clock that was ahead, holds nothing up.
    elapsedMs: lastStepMs > 0 && lastStepMs <= nowMs ? nowMs - lastStepMs : Number.POSITIVE_INFINITY,
    set: change => void (progress = { ...progress, ...change }),
    step: change => look.set({ ...change, lastStepTime: new Date(nowMs).toISOString() }),
    enter: (phase, change = {}) => look.step({ gate: '', ...change, phase }),
    route: weight => look.set({ canaryWeight: weight }),
    keep: wanted => void (scope = wanted),
    copyToPrimary: () => {
      for (const config of observed.configs) {
        const type = config.kind === 'ConfigMap' ? CONFIG_MAPS : SECRETS;
        own.push(action(type, configCopy(subject, config), config.copy));
      }
      const { primary, configs, autoscaler, primaryAutoscaler: made } = observed;
      own.push(action(DEPLOYMENTS, primaryDeployment({ ...subject, primary, configs, revision }), primary));
      if (autoscaler !== undefined && made !== undefined)
        own.push(action(AUTOSCALERS, primaryAutoscaler(subject, autoscaler), made));
    },
    scale: replicas => void scaling.push(action(DEPLOYMENTS, scaled(subject, replicas), target, false)),
    scaleDown: () => {
      look.scale(0);
      statusLast = true;
    },
    giveBack: apex => void given.push(action(SERVICES, apex, observed.services.apex, false)),
    finalizers: names => void (finalizers = names),
    tell: (type, reason, note) => {
      events.push({ type, reason, action: 'Advance', note });
      const metadata = { eventMessage: note, eventType: type, timestamp: String(nowMs) };
      for (const hook of plan.hooks.filter(hook => hook.type === 'event'))
        notices.push({ hook, payload: payload({ ...hook.metadata, ...metadata }) });
    },
    wait: (gate, reason, note) => {
      if (progress.gate === gate) return;
      look.set({ gate });
      look.tell('Warning', reason, note);
    },
    alert: (severity, message) => {
      for (const target of plan.alerts) {
        if (RANK[severity] >= RANK[target.severity]) alerts.push({ target, severity, message, phase: progress.phase });
      }
    },
    notify: type => {
      for (const hook of plan.hooks.filter(hook => hook.type === type))
        notices.push({ hook, payload: payload(hook.metadata) });
    },
    again: afterMs => void (againMs = Math.max(1, Math.min(afterMs, againMs ?? afterMs))),
    payload,
    decision: () => {
      return {
        actions: [...own, ...kept[scope](), ...given, ...scaling],
        statusLast,
        finalizers,
        progress: timed(before, progress, nowMs),
        conditions: conditionsOf(progress.phase, canary.conditions),
        events,
        alerts,
        notices,
        againMs,
      };
    },
  };
  return look;
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warn: 1, error: 2 };

/** The time of the status is that of its last change. */
function timed(before: Progress, after: Progress, nowMs: number): Progress {
  const same =
    JSON.stringify({ ...before, lastTransitionTime: '' }) === JSON.stringify({ ...after, lastTransitionTime: '' });
  return same ? before : { ...after, lastTransitionTime: new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z') };
}

/** Undecided: everything as it is. */
export function unchanged(canary: CanaryObject, conditions: Decision['conditions'], againMs?: number): Decision {
  return {
    actions: [],
    statusLast: false,
    finalizers: undefined,
    progress: canary.progress,
    conditions,
    events: [],
    alerts: [],
    notices: [],
    againMs,
  };
}
