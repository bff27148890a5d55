// What is known when a Canary is looked at, and what the decision can be. All of it is data: it was read from the cluster a moment ago, and nothing else
// is remembered between two looks.
import type { CanaryStatus } from '../../api/index.ts';
import type { Condition, EventText, RawObject, ResourceType } from '../../kube/index.ts';
import type { Fault } from './fault.ts';
import type { AlertTarget, CanaryPlan, Hook, Severity } from './plan.ts';
import type { Result } from '../../kernel/index.ts';

export type Phase = NonNullable<CanaryStatus['phase']>;

/** The status without its conditions, which are decided as plans. */
export interface Progress {
  readonly phase: Phase;
  readonly canaryWeight: number;
  readonly failedChecks: number;
  readonly inconclusiveChecks: number;
  readonly iterations: number;
  readonly lastAppliedSpec: string;
  readonly lastPromotedSpec: string;
  readonly trackedConfigs: Readonly<Record<string, string>>;
  readonly lastTransitionTime: string;
  readonly lastStepTime: string;
  readonly analysisStarted: boolean;
  readonly draining: boolean;
  readonly gate: string;
}

export interface CanaryObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly deleting: boolean;
  readonly finalizers: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly plan: Result<CanaryPlan, readonly Fault[]>;
  readonly progress: Progress;
  readonly conditions: readonly Condition[];
}

/** A ConfigMap or Secret that the pods of the target use. */
export interface TrackedConfig {
  readonly kind: 'ConfigMap' | 'Secret';
  readonly name: string;
  readonly raw: RawObject;
  /** Of what it holds. */
  readonly hash: string;
  /** The primary's copy, if there is one. */
  readonly copy: RawObject | undefined;
}

export interface Observed {
  readonly canary: CanaryObject;
  readonly target: RawObject | undefined;
  readonly primary: RawObject | undefined;
  readonly services: {
    readonly apex: RawObject | undefined;
    readonly primary: RawObject | undefined;
    readonly canary: RawObject | undefined;
  };
  readonly split: RawObject | undefined;
  readonly routeGroup: RawObject | undefined;
  readonly autoscaler: RawObject | undefined;
  readonly primaryAutoscaler: RawObject | undefined;
  readonly configs: readonly TrackedConfig[];
  /** Specs of MetricTemplates by `namespace/name`; absent: there is none. */
  readonly templates: ReadonlyMap<string, unknown>;
}

/** Makes the fields of `object` so; `current` is what was read. */
export interface Action {
  readonly type: ResourceType;
  readonly object: RawObject;
  readonly current: RawObject | undefined;
  /** Whether the object as a whole is of our making. */
  readonly own: boolean;
}

export interface Alert {
  readonly target: AlertTarget;
  readonly severity: Severity;
  readonly message: string;
  readonly phase: Phase;
}

export type Question =
  | { readonly kind: 'hook'; readonly hook: Hook; readonly payload: HookPayload }
  | { readonly kind: 'query'; readonly query: string; readonly source: QuerySource };

/** As Flagger sends it. */
export interface HookPayload {
  readonly name: string;
  readonly namespace: string;
  readonly phase: Phase;
  readonly checksum: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface QuerySource {
  /** Empty: the controller's own. */
  readonly server: string;
  readonly insecure: boolean;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly secret: { readonly namespace: string; readonly name: string } | undefined;
}

export type Answer =
  | { readonly kind: 'yes' }
  | { readonly kind: 'no'; readonly message: string }
  | { readonly kind: 'value'; readonly value: number }
  /** There is an answer, but no number in it. */
  | { readonly kind: 'no-data' }
  /** Nobody answered, or not in a way that can be read. */
  | { readonly kind: 'unknown'; readonly message: string };

export interface Decision {
  /** In this order. */
  readonly actions: readonly Action[];
  /**
   * The status is written before the actions: what it says is done by any later look, and a step that was taken but not noted would be taken twice. Only
   * scaling to zero is noted when it is done, because nothing asks for it afterwards.
   */
  readonly statusLast: boolean;
  /** Undefined: as it is. */
  readonly finalizers: readonly string[] | undefined;
  readonly progress: Progress;
  readonly conditions: readonly Omit<Condition, 'observedGeneration' | 'lastTransitionTime'>[];
  readonly events: readonly EventText[];
  readonly alerts: readonly Alert[];
  /** Hooks whose answer changes nothing. */
  readonly notices: readonly { readonly hook: Hook; readonly payload: HookPayload }[];
  /** When to look again though nothing has told of a change; undefined: not before then. */
  readonly againMs: number | undefined;
}
