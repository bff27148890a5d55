// What becomes of a Canary, told in testdata/*.txt: read the file to see whether it is right. `vitest run --project unit src/reconcilers/canary --update`
// writes them anew.
import { describe, expect, it } from 'vitest';
import type { RawObject } from '../../kube/index.ts';
import type { Answer, Question } from './observed.ts';
import { aTarget, good, NAME, roll, type Story, tellStory } from './testing/story.ts';
import type { FakeCluster } from './testing/fake-cluster.ts';

const METRICS = [
  { name: 'request-success-rate', interval: '1m', thresholdRange: { min: 99 } },
  { name: 'request-duration', interval: '1m', thresholdRange: { max: 500 } },
];

const spec = (analysis: object, more: object = {}) => ({
  targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: NAME },
  service: { port: 9898 },
  analysis: { interval: '10s', threshold: 2, metrics: METRICS, ...analysis },
  ...more,
});

const STEPS = { stepWeight: 20, maxWeight: 50 };
const hook = (type: string, name = type) => ({ name, type, url: 'http://gate/' });
const rolled = (atS = 40, image = 'app:2') => ({ atS, what: `the image becomes ${image}`, act: roll(image) });
const successRate = (question: Question): boolean =>
  question.kind === 'query' && question.query.includes('classification!=');
const atHook = (type: string) => (question: Question) => question.kind === 'hook' && question.hook.type === type;

/** All is well but for `when`, before a time. */
const but =
  (when: (question: Question) => boolean, answer: Answer, untilS = Number.POSITIVE_INFINITY) =>
  (question: Question, nowS: number): Answer =>
    when(question) && nowS < untilS ? answer : good(question);

const slow = (question: Question): boolean => question.kind === 'query' && question.query.includes('quantile');

const CONFIG: RawObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'demo' },
  data: { colour: 'blue' },
};

const annotate = (name: string) => (cluster: FakeCluster) => {
  const status = cluster.get('Canary', NAME)?.['status'] as { lastAppliedSpec: string };
  cluster.merge('Canary', NAME, { metadata: { annotations: { [name]: status.lastAppliedSpec } } });
};

const STORIES: Readonly<Record<string, Story>> = {
  'weights-good': { spec: spec(STEPS), acts: [rolled()], untilS: 160, service: true },
  'weights-listed': { spec: spec({ stepWeights: [1, 10, 80] }), acts: [rolled()], untilS: 140 },
  'weights-back-in-steps': { spec: spec({ ...STEPS, stepWeightPromotion: 25 }), acts: [rolled()], untilS: 180 },
  'weights-failing': {
    spec: spec({ ...STEPS, alerts: [{ name: 'team', severity: 'warn', providerRef: { name: 'team' } }] }),
    acts: [rolled()],
    answer: but(successRate, { kind: 'value', value: 69.17 }),
    untilS: 140,
  },
  'weights-slow': {
    spec: spec(STEPS),
    acts: [rolled()],
    answer: but(slow, { kind: 'value', value: 1_200 }),
    untilS: 120,
  },
  'weights-failing-once': {
    spec: spec(STEPS),
    acts: [rolled()],
    answer: but(successRate, { kind: 'value', value: 69.17 }, 65),
    untilS: 150,
  },
  'no-data': {
    spec: spec({ ...STEPS, inconclusiveLimit: 3 }),
    acts: [rolled()],
    answer: but(successRate, { kind: 'no-data' }),
    untilS: 140,
  },
  'no-data-for-a-while': {
    spec: spec({ ...STEPS, inconclusiveLimit: 3 }),
    acts: [rolled()],
    answer: but(successRate, { kind: 'unknown', message: 'connection refused' }, 75),
    untilS: 170,
  },
  'too-few-requests': {
    spec: spec({ ...STEPS, minRequests: 50, inconclusiveLimit: 0 }),
    acts: [rolled()],
    answer: (question, nowS) =>
      question.kind === 'query' && question.query.startsWith('sum(increase')
        ? { kind: 'value', value: nowS < 85 ? 12 : 80 }
        : good(question),
    untilS: 180,
  },
  'ab-by-header': {
    spec: spec({
      iterations: 3,
      match: [
        { headers: { 'x-canary': { exact: 'yes' } } },
        { headers: { cookie: { regex: '^(.*?;)?(canary=always)(;.*)?$' } } },
      ],
    }),
    acts: [rolled()],
    untilS: 160,
  },
  'blue-green': { spec: spec({ iterations: 3 }), acts: [rolled()], untilS: 160 },
  'blue-green-failing': {
    spec: spec({ iterations: 5, webhooks: [hook('rollout', 'smoke')] }),
    acts: [rolled()],
    answer: but(atHook('rollout'), { kind: 'no', message: 'smoke test failed' }),
    untilS: 140,
  },
  gates: {
    spec: spec({
      ...STEPS,
      webhooks: ['confirm-rollout', 'pre-rollout', 'confirm-traffic-increase', 'confirm-promotion', 'post-rollout'].map(
        type => hook(type),
      ),
    }),
    acts: [rolled()],
    answer: (question, nowS) => {
      const opens: Readonly<Record<string, number>> = {
        'confirm-rollout': 65,
        'pre-rollout': 0,
        'confirm-traffic-increase': 110,
        'confirm-promotion': 190,
      };
      if (question.kind !== 'hook') return good(question);
      return nowS >= (opens[question.hook.type] ?? 0)
        ? { kind: 'yes' }
        : { kind: 'no', message: 'approval is missing' };
    },
    untilS: 240,
  },
  'gate-shut-before-a-revert': {
    spec: spec({ ...STEPS, webhooks: [hook('confirm-rollout')] }),
    acts: [rolled(), rolled(70, 'app:1')],
    answer: but(atHook('confirm-rollout'), { kind: 'no', message: '' }),
    untilS: 120,
  },
  'pre-rollout-failing': {
    spec: spec({ ...STEPS, webhooks: [hook('pre-rollout', 'acceptance'), hook('post-rollout')] }),
    acts: [rolled()],
    answer: but(atHook('pre-rollout'), { kind: 'no', message: '500' }),
    untilS: 120,
  },
  'rollback-by-hook': {
    spec: spec({ ...STEPS, webhooks: [hook('rollback')] }),
    acts: [rolled()],
    answer: (question, nowS) =>
      atHook('rollback')(question) && nowS < 75 ? { kind: 'no', message: '' } : good(question),
    untilS: 120,
  },
  'new-revision-mid-run': { spec: spec(STEPS), acts: [rolled(), rolled(75, 'app:3')], untilS: 200 },
  'new-revision-while-promoting': {
    spec: spec({ stepWeight: 50, maxWeight: 50, stepWeightPromotion: 10 }),
    acts: [rolled(), rolled(82, 'app:3')],
    untilS: 180,
  },
  'canary-that-does-not-start': {
    spec: spec(STEPS, { progressDeadlineSeconds: 60 }),
    acts: [{ atS: 30, what: 'app:2 is broken', act: cluster => void cluster.broken.add('app:2') }, rolled()],
    untilS: 140,
  },
  'canary-that-dies': {
    spec: spec(STEPS),
    acts: [rolled(), { atS: 65, what: 'app:2 breaks', act: cluster => void cluster.broken.add('app:2') }],
    untilS: 140,
  },
  'primary-that-does-not-start': {
    spec: spec(STEPS, { progressDeadlineSeconds: 60 }),
    acts: [
      rolled(),
      {
        atS: 60,
        what: 'app:2 is broken in the primary',
        act: cluster => void cluster.broken.add('podinfo-primary app:2'),
      },
      rolled(170, 'app:3'),
    ],
    untilS: 260,
  },
  'fixed-after-failure': {
    spec: spec(STEPS),
    acts: [rolled(), rolled(110, 'app:3')],
    answer: but(successRate, { kind: 'value', value: 50 }, 100),
    untilS: 230,
  },
  'back-to-the-promoted-after-failure': {
    spec: spec(STEPS),
    acts: [rolled(), rolled(110, 'app:1')],
    answer: but(successRate, { kind: 'value', value: 50 }),
    untilS: 160,
  },
  aborted: {
    spec: spec(STEPS),
    acts: [rolled(), { atS: 65, what: 'it is aborted', act: annotate('weft.dev/canary-abort') }, rolled(100, 'app:3')],
    untilS: 190,
  },
  'promoted-by-hand': {
    spec: spec(STEPS),
    acts: [rolled(), { atS: 65, what: 'it is promoted by hand', act: annotate('weft.dev/canary-promote') }],
    untilS: 110,
  },
  suspended: {
    spec: spec(STEPS),
    acts: [
      rolled(),
      { atS: 65, what: 'suspended', act: cluster => cluster.merge('Canary', NAME, { spec: { suspend: true } }) },
      { atS: 120, what: 'resumed', act: cluster => cluster.merge('Canary', NAME, { spec: { suspend: false } }) },
    ],
    untilS: 200,
  },
  'skipped-analysis': { spec: spec(STEPS, { skipAnalysis: true }), acts: [rolled()], untilS: 90 },
  'route-not-in-force': {
    spec: spec(STEPS),
    acts: [rolled(), { atS: 55, what: 'proxies are silent', act: cluster => void (cluster.programmed = false) }],
    untilS: 260,
  },
  'changed-config': {
    spec: spec(STEPS),
    others: [CONFIG],
    acts: [
      {
        atS: 0,
        what: 'the target uses a ConfigMap',
        act: cluster => {
          const envFrom = [{ configMapRef: { name: 'settings' } }];
          cluster.merge('Deployment', NAME, { spec: aTarget('app:1', { envFrom })['spec'] as object });
        },
      },
      {
        atS: 40,
        what: 'the ConfigMap changes',
        act: cluster => cluster.merge('ConfigMap', 'settings', { data: { colour: 'green' } }),
      },
    ],
    untilS: 160,
  },
  'edited-steps-mid-run': {
    spec: spec({ stepWeights: [5, 10, 50] }),
    acts: [
      rolled(),
      {
        atS: 65,
        what: 'the list becomes 3, 12, 30',
        act: cluster => cluster.merge('Canary', NAME, { spec: { analysis: { stepWeights: [3, 12, 30] } } }),
      },
    ],
    untilS: 160,
  },
  reverted: {
    spec: spec(STEPS, { revertOnDeletion: true }),
    service: true,
    acts: [{ atS: 40, what: 'the Canary is deleted', act: cluster => cluster.delete('Canary', NAME) }],
    untilS: 100,
  },
  'reverted-mid-run': {
    spec: spec(STEPS, { revertOnDeletion: true }),
    acts: [rolled(), { atS: 65, what: 'the Canary is deleted', act: cluster => cluster.delete('Canary', NAME) }],
    untilS: 130,
  },
  refused: { spec: spec({ stepWeight: 10, mirror: true }), untilS: 70 },
};

/** Every phase is in one of these. */
const CRASHED = [
  'weights-good',
  'weights-failing',
  'weights-back-in-steps',
  'ab-by-header',
  'blue-green',
  'new-revision-mid-run',
  'primary-that-does-not-start',
  'changed-config',
  'reverted',
];

describe.each(Object.entries(STORIES))('%s', (name, story) => {
  it('goes as it is told', async () => {
    const { text } = await tellStory(story);
    await expect(text).toMatchFileSnapshot(`testdata/${name}.txt`);
  });

  it('goes the same way when the process is started anew for every look', async () => {
    expect((await tellStory(story, { restarting: true })).text).toBe((await tellStory(story)).text);
  });
});

/** Stories that are told again for each of their writes: with two dozen writes each, all of them would take minutes. */
describe.each(Object.entries(STORIES).filter(([name]) => CRASHED.includes(name)))('%s', (_name, story) => {
  it('comes to the same end when any one of its writes ends the process', async () => {
    const whole = await tellStory(story);
    const inMidRun = (story.acts ?? []).some(({ atS }) => atS > 40);
    const end = ({ cluster }: typeof whole) =>
      ['Canary', 'TrafficSplit', 'Deployment', 'Service'].flatMap(kind =>
        [NAME, `${NAME}-primary`, `${NAME}-canary`].map(name => essence(cluster.get(kind, name))),
      );
    for (const when of ['before', 'after'] as const)
      for (let at = 1; at <= whole.cluster.writes.length; at++) {
        const crashed = await tellStory({ ...story, untilS: story.untilS + 60 }, { crash: { at, when } });
        expect(end(crashed), `${when} write ${at}: ${whole.cluster.writes[at - 1]}\n${crashed.text}`).toEqual(
          end(whole),
        );
        // No share is passed over, and none is come back to; where something happens in the middle of a run, it may meet an earlier share.
        expect(inMidRun ? whole.weights : crashed.weights, `${when} write ${at}`).toEqual(whole.weights);
      }
  });
});

/** What matters of an object: not how often it was written, or when. */
function essence(object: RawObject | undefined): unknown {
  if (object === undefined) return undefined;
  const { status, spec: wanted, metadata } = object;
  const { phase, lastAppliedSpec, lastPromotedSpec, canaryWeight } = (status ?? {}) as Record<string, unknown>;
  const owners = metadata['ownerReferences'];
  return object.kind === 'Canary'
    ? { phase, lastAppliedSpec, lastPromotedSpec, canaryWeight }
    : { spec: wanted, owners };
}
