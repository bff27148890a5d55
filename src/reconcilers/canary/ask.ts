// What is asked of others while a look goes on: hooks and metrics, one after the other, the first failure being the last.
import { metricTemplate, validateSpec } from '../../api/index.ts';
import type { Look } from './look.ts';
import { complaint, type MetricCheck } from './metric-check.ts';
import type { Answer, Question, QuerySource } from './observed.ts';
import type { Hook, HookType } from './plan.ts';
import { expand } from './query-template.ts';

export type Asking<T> = Generator<Question, T, Answer>;

export interface Refusal {
  readonly hook: Hook;
  readonly note: string;
}

/** The first hook of the type that does not say yes. */
export function* hooks(look: Look, type: HookType): Asking<Refusal | undefined> {
  for (const hook of look.plan.hooks.filter(candidate => candidate.type === type)) {
    const answer = yield { kind: 'hook', hook, payload: look.payload(hook.metadata) };
    if (answer.kind === 'yes') continue;
    const why = 'message' in answer ? answer.message : 'no answer';
    return { hook, note: `${type} check ${hook.name} failed ${why}` };
  }
  return undefined;
}

/** The first hook of the type that says yes. */
export function* anyYes(look: Look, type: HookType): Asking<Hook | undefined> {
  for (const hook of look.plan.hooks.filter(candidate => candidate.type === type)) {
    const answer = yield { kind: 'hook', hook, payload: look.payload(hook.metadata) };
    if (answer.kind === 'yes') return hook;
  }
  return undefined;
}

export type Verdict =
  | { readonly kind: 'good' }
  | { readonly kind: 'bad'; readonly note: string }
  /** Nothing can be said: no data, too little of it, or nobody who answers. */
  | { readonly kind: 'silent'; readonly note: string };

const good: Verdict = { kind: 'good' };

export function* measure(look: Look): Asking<Verdict> {
  for (const metric of look.plan.metrics) {
    const verdict = yield* measureOne(look, metric);
    if (verdict.kind !== 'good') return verdict;
  }
  return good;
}

function* measureOne(look: Look, metric: MetricCheck): Asking<Verdict> {
  const prepared = prepare(look, metric);
  if ('fault' in prepared) return { kind: 'bad', note: prepared.fault };
  const { source, query, counts } = prepared;
  const { minRequests } = look.plan;
  if (counts !== undefined && minRequests > 1) {
    const requests = yield { kind: 'query', query: counts, source };
    const count = requests.kind === 'value' ? requests.value : 0;
    // An increase is extrapolated, so 99.6 of 100 is 100.
    if (requests.kind !== 'unknown' && Math.round(count) < minRequests)
      return { kind: 'silent', note: `${Math.round(count)} requests are fewer than minRequests (${minRequests})` };
  }
  const answer = yield { kind: 'query', query, source };
  if (answer.kind === 'value') {
    const note = complaint(metric, answer.value, look.who);
    return note === undefined ? good : { kind: 'bad', note };
  }
  if (answer.kind === 'no-data')
    return {
      kind: 'silent',
      note: `no values found for metric ${metric.name}, probably ${look.targetWho} is not receiving traffic`,
    };
  return { kind: 'silent', note: `metric ${metric.name} is not known: ${'message' in answer ? answer.message : ''}` };
}

type Prepared =
  | { readonly fault: string }
  | { readonly source: QuerySource; readonly query: string; readonly counts: string | undefined };

function prepare({ plan, observed }: Look, { name, query }: MetricCheck): Prepared {
  const own: QuerySource = { server: plan.metricsServer, insecure: false, headers: {}, secret: undefined };
  if (query.kind === 'text') return { source: own, query: query.text, counts: query.counts };
  const { namespace, name: template } = query.template;
  const raw = observed.templates.get(`${namespace}/${template}`);
  const what = `metric ${name}: MetricTemplate ${namespace}/${template}`;
  if (raw === undefined) return { fault: `${what} does not exist` };
  const spec = validateSpec(metricTemplate, raw);
  if (!spec.ok) return { fault: `${what}: ${spec.error.map(({ path, message }) => `${path} ${message}`).join('; ')}` };
  const { provider } = spec.value;
  if (provider.type !== 'prometheus') return { fault: `${what}: provider "${provider.type}" is not supported` };
  const expanded = expand(spec.value.query, query.values);
  if (!expanded.ok) return { fault: `${what}: ${expanded.error}` };
  return {
    source: {
      server: provider.address === undefined || provider.address === '' ? plan.metricsServer : provider.address,
      insecure: provider.insecureSkipVerify === true,
      headers: provider.headers ?? {},
      secret: provider.secretRef === undefined ? undefined : { namespace, name: provider.secretRef.name },
    },
    query: expanded.value,
    counts: undefined,
  };
}
