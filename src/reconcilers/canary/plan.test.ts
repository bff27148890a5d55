import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { canary, CANARY_SAMPLES } from '../../api/index.ts';
import { routeGroupSpec } from './match.ts';
import { planOf } from './plan.ts';
import { expand } from './query-template.ts';
import { canaryProblems } from './validate.ts';

const analysis = { interval: '1m', threshold: 5, stepWeight: 10 };
const spec = (more: object = {}, changed: object = {}) => ({
  targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
  service: { port: 80 },
  analysis: { ...analysis, ...changed },
  ...more,
});
const problems = (given: object) =>
  canaryProblems({ metadata: { name: 'web', namespace: 'demo' }, spec: given }).map(
    ({ severity, message }) => `${severity}: ${message}`,
  );
const metric = (more: object) => spec({}, { metrics: [{ name: 'request-success-rate', ...more }] });

describe('what cannot be done is refused, with its field and what to write instead', () => {
  it.each([
    { name: 'mirroring', given: spec({}, { mirror: true }), says: 'spec.analysis.mirror requests are not mirrored' },
    {
      name: 'session affinity',
      given: spec({}, { sessionAffinity: { cookieName: 'a' } }),
      says: 'spec.analysis.sessionAffinity',
    },
    { name: 'a step of 0', given: spec({}, { stepWeight: 0 }), says: 'spec.analysis.stepWeight must be at least 1' },
    {
      name: 'a maximum below the step',
      given: spec({}, { stepWeight: 20, maxWeight: 10 }),
      says: 'spec.analysis.maxWeight must be at least',
    },
    {
      name: 'steps that do not grow',
      given: spec({}, { stepWeight: undefined, stepWeights: [5, 5] }),
      says: 'spec.analysis.stepWeights[1] is 5',
    },
    {
      name: 'no steps',
      given: spec({}, { stepWeight: undefined, stepWeights: [] }),
      says: 'spec.analysis.stepWeights must have',
    },
    {
      name: 'A/B with weights',
      given: spec({}, { match: [{ headers: { a: { exact: 'b' } } }] }),
      says: 'spec.analysis.match goes with iterations',
    },
    {
      name: 'A/B for everybody',
      given: spec({}, { stepWeight: undefined, iterations: 2, match: [{}] }),
      says: 'spec.analysis.match[0].headers names no header',
    },
    {
      name: 'A/B by the query',
      given: spec({}, { stepWeight: undefined, iterations: 2, match: [{ queryParams: {} }] }),
      says: 'spec.analysis.match[0].queryParams cannot',
    },
    {
      name: 'an expression with look-ahead',
      given: spec({}, { stepWeight: undefined, iterations: 2, match: [{ headers: { a: { regex: '(?!b)' } } }] }),
      says: 'match[0].headers.a.regex is no RE2',
    },
    {
      name: 'iterations and steps',
      given: spec({}, { iterations: 2 }),
      says: 'spec.analysis must have exactly one of',
    },
    {
      name: 'no iterations',
      given: spec({}, { stepWeight: undefined, iterations: 0 }),
      says: 'spec.analysis.iterations must be at least 1',
    },
    { name: 'a metric that is always good', given: metric({}), says: 'metrics[0].thresholdRange must have min or max' },
    {
      name: 'a metric that is never good',
      given: metric({ thresholdRange: { min: 2, max: 1 } }),
      says: 'min 2 is above max 1',
    },
    {
      name: 'a metric that nobody knows',
      given: spec({}, { metrics: [{ name: 'x', thresholdRange: { max: 1 } }] }),
      says: 'metrics[0].templateRef is required',
    },
    {
      name: 'a query with an unknown function',
      given: metric({ query: '{{ pod }}', thresholdRange: { max: 1 } }),
      says: '{{ pod }} is none of',
    },
    {
      name: 'a DaemonSet',
      given: spec({ targetRef: { kind: 'DaemonSet', name: 'web' } }),
      says: 'spec.targetRef.kind DaemonSet is not supported yet',
    },
    {
      name: 'a ScaledObject',
      given: spec({ autoscalerRef: { kind: 'ScaledObject', name: 'web' } }),
      says: 'spec.autoscalerRef.kind',
    },
    {
      name: 'a headless Service',
      given: spec({ service: { port: 80, headless: true } }),
      says: 'spec.service.headless',
    },
    { name: 'another mesh', given: spec({ provider: 'istio' }), says: 'spec.provider "istio"' },
    { name: 'no port', given: spec({ service: {} }), says: 'spec.service.port is required' },
    {
      name: 'an interval of nothing',
      given: spec({}, { interval: '100ms' }),
      says: 'spec.analysis.interval "100ms" is shorter',
    },
  ])('$name', ({ given, says }) => {
    const found = problems(given);
    expect(found.filter(text => text.startsWith('error: ') && text.includes(says))).toHaveLength(1);
  });

  it('and what can be done is not', () => {
    expect(problems(spec())).toEqual([]);
    expect(problems(spec({ provider: 'linkerd' }))).toEqual([]);
    expect(problems((parse(canary.example) as { spec: object }).spec)).toEqual([]);
    expect(problems(metric({ threshold: 99 }))).toEqual([]);
  });

  it.each(Object.entries(CANARY_SAMPLES))('nor is the sample %s', (_, sample) => {
    expect(problems((parse(sample) as { spec: object }).spec)).toEqual([]);
  });

  it('what other meshes read is accepted with a warning', () => {
    const found = problems(spec({ service: { port: 80, gateways: ['a'], retries: {} }, ingressRef: { name: 'a' } }));
    expect(found.map(text => text.split(' ').slice(0, 2).join(' '))).toEqual([
      'warning: spec.service.gateways',
      'warning: spec.service.retries',
      'warning: spec.ingressRef',
    ]);
  });
});

describe('the plan', () => {
  const planned = (given: object) => {
    const plan = planOf('demo', given, 'web');
    if (!plan.ok) throw new Error(JSON.stringify(plan.error));
    return plan.value;
  };

  it.each([
    { given: { stepWeight: 20, maxWeight: 50 }, steps: [20, 40, 60] },
    { given: { stepWeight: 40 }, steps: [40, 80, 100] },
    { given: { stepWeight: 50, maxWeight: 50 }, steps: [50] },
    { given: { stepWeight: undefined, stepWeights: [1, 2, 60], maxWeight: 50 }, steps: [1, 2, 60] },
  ])('of $given has the steps $steps', ({ given, steps }) => {
    expect(planned(spec({}, given)).strategy).toEqual({ kind: 'weights', steps });
  });

  it('asks Flagger’s queries for Linkerd without probes, those of templates last', () => {
    const metrics = [
      { name: 'custom', templateRef: { name: 't' }, thresholdRange: { max: 1 } },
      { name: 'request-success-rate', thresholdRange: { min: 99 } },
      { name: 'request-duration', interval: '30s', threshold: 500 },
    ];
    const [rate, duration, custom] = planned(spec({}, { metrics })).metrics;
    expect(rate?.query).toMatchObject({
      text: 'sum(rate(response_total{namespace="demo",deployment=~"web",classification!="failure",direction="inbound",route_name!="probe"}[1m])) / sum(rate(response_total{namespace="demo",deployment=~"web",direction="inbound",route_name!="probe"}[1m])) * 100',
    });
    expect(duration).toMatchObject({
      max: 500,
      query: {
        text: 'histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{namespace="demo",deployment=~"web",direction="inbound",route_name!="probe"}[30s])) by (le))',
      },
    });
    expect(custom?.query).toMatchObject({ kind: 'template', template: { namespace: 'demo', name: 't' } });
  });

  it('takes the older threshold as the least success rate and the most of all else', () => {
    const metrics = [
      { name: 'request-success-rate', threshold: 99 },
      { name: 'errors', query: 'up', threshold: 3 },
    ];
    expect(planned(spec({}, { metrics })).metrics.map(({ min, max }) => [min, max])).toEqual([
      [99, undefined],
      [undefined, 3],
    ]);
  });

  it('sends an alert from info on when no severity is said', () => {
    const alerts = [{ name: 'a', providerRef: { name: 'p' } }];
    expect(planned(spec({}, { alerts })).alerts).toEqual([
      { name: 'a', severity: 'info', provider: { namespace: 'demo', name: 'p' } },
    ]);
  });
});

it('matches of an A/B test are expressions for whole values', () => {
  const headers = {
    'X-Exact': { exact: 'a.b' },
    prefix: { prefix: 'a+' },
    suffix: { suffix: '$' },
    cookie: { regex: '^(.*?;)?(canary=always)(;.*)?$' },
  };
  expect(routeGroupSpec([{ headers }])).toEqual({
    matches: [
      {
        name: 'match-0',
        headers: { 'x-exact': 'a\\.b', prefix: 'a\\+.*', suffix: '.*\\$', cookie: '^(.*?;)?(canary=always)(;.*)?$' },
      },
    ],
  });
});

it('a query is made from a template as Go would make it', () => {
  const values = {
    name: 'canary',
    namespace: 'demo',
    target: 'web',
    service: 'apex',
    interval: '1m',
    variables: { direction: 'inbound' },
  };
  const text =
    'a{ns="{{ namespace }}",t="{{target}}",s="{{- service -}}",d="{{ variables.direction }}"}[{{ interval }}]{{ ingress }}';
  expect(expand(text, values)).toEqual({ ok: true, value: 'a{ns="demo",t="web",s="apex",d="inbound"}[1m]' });
  expect(expand('{{ variables.other }}', values)).toEqual({
    ok: false,
    error: '{{ variables.other }}: templateVariables has no "other"',
  });
});
