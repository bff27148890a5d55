// What a Canary asks for, in the form in which it is decided on. Whatever cannot be done is refused here, with the field and what to write instead.
import { canary, type CanarySpec, FOREIGN_SERVICE_FIELDS, validateSpec } from '../../api/index.ts';
import { err, formatDurationMs, ok, parseDurationMs, type Result } from '../../kernel/index.ts';
import { matchFaults, type Match } from './match.ts';
import { type MetricCheck, metricFaults, planMetric } from './metric-check.ts';
import type { Fault } from './fault.ts';

export interface Hook {
  readonly name: string;
  readonly type: HookType;
  readonly url: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly insecure: boolean;
  readonly mute: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

export type HookType =
  | 'confirm-rollout'
  | 'pre-rollout'
  | 'rollout'
  | 'confirm-traffic-increase'
  | 'confirm-promotion'
  | 'post-rollout'
  | 'rollback'
  | 'event';

export type Severity = 'info' | 'warn' | 'error';

export interface AlertTarget {
  readonly name: string;
  readonly severity: Severity;
  readonly provider: { readonly namespace: string; readonly name: string };
}

export type Strategy =
  /** Shares of the canary in percent, growing; after the last comes promotion. */
  | { readonly kind: 'weights'; readonly steps: readonly number[] }
  | { readonly kind: 'ab'; readonly matches: readonly Match[]; readonly iterations: number }
  | { readonly kind: 'blue-green'; readonly iterations: number };

export interface CanaryPlan {
  readonly target: string;
  readonly apex: string;
  readonly service: CanarySpec['service'];
  readonly autoscaler: CanarySpec['autoscalerRef'];
  readonly suspend: boolean;
  readonly skipAnalysis: boolean;
  readonly revertOnDeletion: boolean;
  readonly deadlineMs: number;
  readonly intervalMs: number;
  readonly threshold: number;
  readonly strategy: Strategy;
  /** Percent by which the primary's share grows after promotion; 0: all at once. */
  readonly promotionStep: number;
  readonly readyPercent: { readonly primary: number; readonly canary: number };
  readonly metrics: readonly MetricCheck[];
  readonly metricsServer: string;
  readonly minRequests: number;
  readonly inconclusiveLimit: number;
  readonly hooks: readonly Hook[];
  readonly alerts: readonly AlertTarget[];
}

/** Below this a look would see what the look before it saw. */
const SHORTEST_INTERVAL_MS = 1_000;
const PROVIDERS = /^(weft|linkerd|smi:[a-z0-9]+(:[a-z]+)?)?$/;

/** Which Services, Deployments and so on a Canary makes: its names must still fit. */
const LONGEST_APEX = 55;

export function planOf(namespace: string, raw: unknown, name: string): Result<CanaryPlan, readonly Fault[]> {
  const valid = validateSpec(canary, raw);
  if (!valid.ok) return err(valid.error);
  const faults = semanticFaults(valid.value);
  if (faults.length > 0) return err(faults);
  return ok(planned(namespace, valid.value, name));
}

/** What is accepted and does nothing: for a warning. */
export function withoutEffect(raw: unknown): readonly Fault[] {
  const valid = validateSpec(canary, raw);
  if (!valid.ok) return [];
  const { service, ingressRef, routeRef, upstreamRef } = valid.value;
  const foreign = [...FOREIGN_SERVICE_FIELDS, 'unmanagedMetadata' as const]
    .filter(field => service[field] !== undefined)
    .map(field => `spec.service.${field}`);
  const references = Object.entries({ ingressRef, routeRef, upstreamRef })
    .filter(([, value]) => value !== undefined)
    .map(([field]) => `spec.${field}`);
  return [...foreign, ...references].map(path => ({
    path,
    message: 'has no effect in Weft; say how requests are carried with a TrafficPolicy',
  }));
}

function semanticFaults(spec: CanarySpec): readonly Fault[] {
  const { targetRef, autoscalerRef, provider = '', service } = spec;
  const faults: Fault[] = [];
  const refuse = (path: string, message: string): void => void faults.push({ path, message });
  if (!PROVIDERS.test(provider))
    refuse('spec.provider', `"${provider}" is not how Weft routes; leave it out, and a TrafficSplit is used`);
  if (targetRef.kind !== 'Deployment')
    refuse('spec.targetRef.kind', `${targetRef.kind} is not supported yet; name a Deployment`);
  if (autoscalerRef?.kind === 'ScaledObject')
    refuse('spec.autoscalerRef.kind', 'ScaledObject is not supported yet; name a HorizontalPodAutoscaler');
  if (service.headless === true)
    refuse(
      'spec.service.headless',
      'clients of a headless Service connect to pods, which cannot be split; leave it out',
    );
  if ((service.name ?? targetRef.name).length > LONGEST_APEX)
    refuse('spec.service.name', `must be at most ${LONGEST_APEX} characters, so that "-primary" fits behind it`);
  return [...faults, ...analysisFaults(spec), ...metricFaults(spec.analysis.metrics ?? [])];
}

function analysisFaults({ analysis }: CanarySpec): readonly Fault[] {
  const { match = [], mirror, sessionAffinity, iterations, interval } = analysis;
  const faults: Fault[] = [];
  const refuse = (field: string, message: string): void =>
    void faults.push({ path: `spec.analysis.${field}`, message });
  if (mirror === true)
    refuse('mirror', 'requests are not mirrored by Weft; leave it out, and look at a small share first');
  if (sessionAffinity !== undefined)
    refuse('sessionAffinity', 'no cookie keeps a client at its version in Weft; leave it out, or use match (A/B)');
  if ((parseDurationMs(interval) ?? 0) < SHORTEST_INTERVAL_MS)
    refuse('interval', `"${interval}" is shorter than ${formatDurationMs(SHORTEST_INTERVAL_MS)}; write 10s or more`);
  if (match.length > 0 && iterations === undefined)
    refuse('match', 'goes with iterations (A/B), not with weights; give iterations in place of stepWeight');
  return [...faults, ...stepFaults(analysis), ...matchFaults(match)];
}

function stepFaults({ iterations, stepWeight, stepWeights, maxWeight = 0 }: CanarySpec['analysis']): readonly Fault[] {
  if (iterations !== undefined)
    return iterations > 0 ? [] : [{ path: 'spec.analysis.iterations', message: 'must be at least 1' }];
  if (stepWeight !== undefined) {
    if (stepWeight === 0)
      return [{ path: 'spec.analysis.stepWeight', message: 'must be at least 1, or nothing ever moves' }];
    if (maxWeight > 0 && maxWeight < stepWeight)
      return [{ path: 'spec.analysis.maxWeight', message: `must be at least stepWeight (${stepWeight})` }];
    return [];
  }
  const steps = stepWeights ?? [];
  if (steps.length === 0) return [{ path: 'spec.analysis.stepWeights', message: 'must have at least one share' }];
  const wrong = steps.findIndex((step, index) => step <= (steps[index - 1] ?? 0));
  if (wrong < 0) return [];
  return [
    {
      path: `spec.analysis.stepWeights[${wrong}]`,
      message: `is ${steps[wrong]}; each share must be above the one before it, and the first above 0`,
    },
  ];
}

/** `stepWeight` 20 up to 50 is 20, 40, 60, as Flagger counts. */
function stepsOf({ stepWeight = 0, stepWeights, maxWeight = 0 }: CanarySpec['analysis']): readonly number[] {
  if (stepWeights !== undefined) return stepWeights;
  const most = maxWeight === 0 ? 100 : maxWeight;
  return Array.from({ length: Math.ceil(most / stepWeight) }, (_, index) => Math.min(100, (index + 1) * stepWeight));
}

function strategyOf({ analysis }: CanarySpec): Strategy {
  const { iterations, match = [] } = analysis;
  if (iterations === undefined) return { kind: 'weights', steps: stepsOf(analysis) };
  if (match.length === 0) return { kind: 'blue-green', iterations };
  return { kind: 'ab', matches: match, iterations };
}

function planned(namespace: string, spec: CanarySpec, name: string): CanaryPlan {
  const { targetRef, service, analysis } = spec;
  const { primaryReadyThreshold = 100, canaryReadyThreshold = 100 } = analysis;
  return {
    target: targetRef.name,
    apex: service.name ?? targetRef.name,
    service,
    autoscaler: spec.autoscalerRef,
    suspend: spec.suspend,
    skipAnalysis: spec.skipAnalysis,
    revertOnDeletion: spec.revertOnDeletion,
    deadlineMs: spec.progressDeadlineSeconds * 1_000,
    intervalMs: parseDurationMs(analysis.interval) ?? 60_000,
    threshold: Math.max(1, analysis.threshold ?? 1),
    strategy: strategyOf(spec),
    promotionStep: analysis.stepWeightPromotion ?? 0,
    readyPercent: { primary: primaryReadyThreshold, canary: canaryReadyThreshold },
    metrics: metricsInOrder(namespace, spec, name),
    metricsServer: spec.metricsServer ?? '',
    minRequests: analysis.minRequests ?? 1,
    inconclusiveLimit: analysis.inconclusiveLimit ?? 10,
    hooks: (analysis.webhooks ?? []).map(hook => ({
      name: hook.name,
      type: hook.type === undefined || hook.type === '' ? 'rollout' : hook.type,
      url: hook.url,
      timeoutMs: parseDurationMs(hook.timeout ?? '') ?? 10_000,
      retries: hook.retries ?? 0,
      insecure: hook.disableTLS === true,
      mute: hook.muteAlert === true,
      metadata: hook.metadata ?? {},
    })),
    alerts: (analysis.alerts ?? []).map(({ name: alert, severity = '', providerRef }) => ({
      name: alert,
      severity: severity === '' ? 'info' : severity,
      provider: { namespace: providerRef.namespace ?? namespace, name: providerRef.name },
    })),
  };
}

/** What has its query at hand comes before what a template has. */
function metricsInOrder(namespace: string, { analysis, targetRef, service }: CanarySpec, name: string) {
  const of = { name, namespace, target: targetRef.name, service: service.name ?? targetRef.name };
  const all = (analysis.metrics ?? []).map(metric => planMetric(metric, of));
  const isTemplate = ({ query }: MetricCheck): boolean => query.kind === 'template';
  return [...all.filter(metric => !isTemplate(metric)), ...all.filter(isTemplate)];
}
