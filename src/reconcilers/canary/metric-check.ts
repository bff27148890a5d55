// What is measured, with which query, and what its value means.
import type { CanarySpec } from '../../api/index.ts';
import type { Fault } from './fault.ts';
import { expand, templateFault, type TemplateValues } from './query-template.ts';

type Metric = NonNullable<CanarySpec['analysis']['metrics']>[number];

export interface MetricCheck {
  readonly name: string;
  readonly kind: 'success-rate' | 'duration' | 'other';
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly query:
    | { readonly kind: 'text'; readonly text: string; readonly counts: string | undefined }
    | {
        readonly kind: 'template';
        readonly template: { readonly namespace: string; readonly name: string };
        readonly values: TemplateValues;
      };
}

const SUCCESS_RATE = 'request-success-rate';
const DURATION = 'request-duration';

interface Subject {
  readonly name: string;
  readonly namespace: string;
  readonly target: string;
  readonly service: string;
}

export function metricFaults(metrics: readonly Metric[]): readonly Fault[] {
  return metrics.flatMap((metric, index) => {
    const path = `spec.analysis.metrics[${index}]`;
    const { name, threshold, thresholdRange, query, templateRef } = metric;
    const faults: Fault[] = [];
    const { min, max } = thresholdRange ?? {};
    if (threshold === undefined && min === undefined && max === undefined)
      faults.push({ path: `${path}.thresholdRange`, message: 'must have min or max, or every value would be good' });
    if (min !== undefined && max !== undefined && min > max)
      faults.push({
        path: `${path}.thresholdRange`,
        message: `min ${min} is above max ${max}, so no value would be good`,
      });
    const builtIn = name === SUCCESS_RATE || name === DURATION;
    if (!builtIn && query === undefined && templateRef === undefined)
      faults.push({
        path: `${path}.templateRef`,
        message: `is required: "${name}" is not built in (${SUCCESS_RATE}, ${DURATION} are)`,
      });
    if (query !== undefined && templateRef !== undefined)
      faults.push({ path: `${path}.query`, message: 'stands beside templateRef; give one of them' });
    const fault = query === undefined ? undefined : templateFault(query, metric.templateVariables ?? {});
    return fault === undefined ? faults : [...faults, { path: `${path}.query`, message: fault }];
  });
}

export function planMetric(metric: Metric, subject: Subject): MetricCheck {
  const { name, interval = '1m', threshold, thresholdRange, query, templateRef, templateVariables = {} } = metric;
  const values = { ...subject, interval, variables: templateVariables };
  const kind = templateRef !== undefined || query !== undefined ? 'other' : kindOf(name);
  const older = kind === 'success-rate' ? { min: threshold, max: undefined } : { min: undefined, max: threshold };
  const { min, max } = thresholdRange === undefined ? older : { min: thresholdRange.min, max: thresholdRange.max };
  return { name, kind, min, max, query: queryOf() };

  function queryOf(): MetricCheck['query'] {
    if (templateRef !== undefined) {
      const template = { namespace: templateRef.namespace ?? subject.namespace, name: templateRef.name };
      return { kind: 'template', template, values };
    }
    if (query !== undefined) {
      const expanded = expand(query, values);
      return { kind: 'text', text: expanded.ok ? expanded.value : query, counts: undefined };
    }
    return { kind: 'text', ...builtInQuery(kind, subject, interval) };
  }
}

function kindOf(name: string): MetricCheck['kind'] {
  if (name === SUCCESS_RATE) return 'success-rate';
  return name === DURATION ? 'duration' : 'other';
}

/**
 * The queries that Flagger asks for Linkerd, whose series Weft's proxies export; but for probes of the kubelet, which a canary that nobody calls would be
 * judged by. Series without that label are not left out.
 */
function builtInQuery(kind: MetricCheck['kind'], { namespace, target }: Subject, interval: string) {
  const whose = `namespace="${namespace}",deployment=~"${target}"`;
  const what = 'direction="inbound",route_name!="probe"';
  const of = `${whose},${what}`;
  const good = `${whose},classification!="failure",${what}`;
  const counts = `sum(increase(response_total{${of}}[${interval}]))`;
  if (kind === 'duration')
    return {
      text: `histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{${of}}[${interval}])) by (le))`,
      counts,
    };
  const rate = (selector: string): string => `sum(rate(response_total{${selector}}[${interval}]))`;
  return { text: `${rate(good)} / ${rate(of)} * 100`, counts };
}

/** Undefined: the value is good. Otherwise what to tell. */
export function complaint({ name, kind, min, max }: MetricCheck, value: number, who: string): string | undefined {
  const shown = (found: number): string =>
    kind === 'success-rate'
      ? `${round(found)}%`
      : kind === 'duration'
        ? `${Math.trunc(found)}ms`
        : String(round(found));
  const what = { 'success-rate': 'success rate', duration: 'request duration', other: name }[kind];
  const judged = kind === 'duration' ? Math.trunc(value) : value;
  if (min !== undefined && judged < min) return `Halt ${who} advancement ${what} ${shown(value)} < ${shown(min)}`;
  if (max !== undefined && judged > max) return `Halt ${who} advancement ${what} ${shown(value)} > ${shown(max)}`;
  return undefined;
}

const round = (value: number): number => Math.round(value * 100) / 100;
