import { CanaryAnalysis, TextMap } from './canary-analysis.ts';
import { CanaryService } from './canary-service.ts';
import type { KindDefinition } from './definition.ts';
import { Anything, Conditions, DNS_SUBDOMAIN, type Static, StringEnum, Type } from './schema.ts';

const target = (kinds: readonly string[], description: string) => ({
  apiVersion: Type.Optional(Type.String({ description: 'Group and version of the kind.', maxLength: 253 })),
  kind: StringEnum(kinds, { description }),
  name: Type.String({
    description: 'Its name, in the namespace of this object.',
    pattern: DNS_SUBDOMAIN,
    maxLength: 253,
  }),
});

const Replicas = Type.Optional(
  Type.Object(
    {
      minReplicas: Type.Optional(Type.Integer({ description: 'Least.', minimum: 1, maximum: 1_000_000 })),
      maxReplicas: Type.Optional(Type.Integer({ description: 'Most.', minimum: 1, maximum: 1_000_000 })),
    },
    { description: 'Replicas of the primary, where they are not to be as the target’s.' },
  ),
);

const CanarySpec = Type.Object(
  {
    provider: Type.Optional(
      Type.String({ description: 'Empty, `weft`, `linkerd` or `smi:<version>`: a TrafficSplit.', maxLength: 63 }),
    ),
    metricsServer: Type.Optional(
      Type.String({
        description: 'Prometheus for the built-in metrics; absent: the one that the controller knows.',
        pattern: '^(https?://.*)?$',
        maxLength: 2048,
      }),
    ),
    progressDeadlineSeconds: Type.Integer({
      description: 'Longest time until the pods of a new revision are ready.',
      minimum: 1,
      maximum: 86_400,
      default: 600,
    }),
    targetRef: Type.Object(
      target(['Deployment', 'DaemonSet', 'Service'], 'Deployment; DaemonSet and Service are refused for now.'),
      { description: 'What is rolled out. From then on it is the canary; the copy `<name>-primary` serves.' },
    ),
    autoscalerRef: Type.Optional(
      Type.Object(
        {
          ...target(
            ['HorizontalPodAutoscaler', 'ScaledObject'],
            'HorizontalPodAutoscaler; ScaledObject is refused for now.',
          ),
          primaryScalerReplicas: Replicas,
          primaryScalerQueries: Type.Optional(Anything({ description: 'Of a ScaledObject.' })),
        },
        { description: 'The autoscaler of the target; the primary gets a copy.' },
      ),
    ),
    service: CanaryService,
    analysis: CanaryAnalysis,
    skipAnalysis: Type.Boolean({ description: 'Promote every revision without a look.', default: false }),
    revertOnDeletion: Type.Boolean({
      description: 'When this object is deleted, let the target serve again before the copies go.',
      default: false,
    }),
    suspend: Type.Boolean({ description: 'Do nothing at all; shares stay as they are.', default: false }),
    ingressRef: Type.Optional(Anything({ description: 'Accepted, without effect in Weft.' })),
    routeRef: Type.Optional(Anything({ description: 'Accepted, without effect in Weft.' })),
    upstreamRef: Type.Optional(Anything({ description: 'Accepted, without effect in Weft.' })),
  },
  { description: 'What is rolled out, and how.' },
);

export const CANARY_PHASES = [
  '',
  'Initializing',
  'Initialized',
  'Waiting',
  'Progressing',
  'WaitingPromotion',
  'Promoting',
  'Finalising',
  'Succeeded',
  'Failed',
  'Terminating',
  'Terminated',
] as const;

const time = (description: string) => Type.Optional(Type.String({ description, format: 'date-time' }));
const count = (description: string) => Type.Optional(Type.Integer({ description, minimum: 0 }));
const revision = (description: string) => Type.Optional(Type.String({ description, maxLength: 64 }));

const CanaryStatus = Type.Object(
  {
    phase: Type.Optional(StringEnum(CANARY_PHASES, { description: 'Where it stands.' })),
    canaryWeight: count('Share of the canary in percent, as the TrafficSplit says.'),
    failedChecks: count('Looks that failed in this run.'),
    inconclusiveChecks: count('Looks in a row that said nothing.'),
    iterations: count('Looks that passed in this run, without steps.'),
    lastAppliedSpec: revision('Revision that was or is being judged.'),
    lastPromotedSpec: revision('Revision that the primary has.'),
    trackedConfigs: Type.Optional(TextMap('ConfigMaps and Secrets of the revision, with a hash of their content.', 64)),
    lastTransitionTime: time('When this status last changed.'),
    lastStepTime: time('When the last look or change of shares was.'),
    analysisStarted: Type.Optional(
      Type.Boolean({ description: 'Whether the hooks before the first step have passed.' }),
    ),
    draining: Type.Optional(
      Type.Boolean({ description: 'Whether the canary is to be scaled to zero when its share is.' }),
    ),
    gate: Type.Optional(
      Type.String({ description: 'What holds the run: type and name of a webhook.', maxLength: 512 }),
    ),
    conditions: Type.Optional(Conditions),
  },
  { description: 'Written by the controller.' },
);

export type CanarySpec = Static<typeof CanarySpec>;
export type CanaryStatus = Static<typeof CanaryStatus>;

export const canary = {
  group: 'weft.dev',
  kind: 'Canary',
  plural: 'canaries',
  singular: 'canary',
  shortNames: ['wcanary'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [{ name: 'v1alpha1', storage: true }],
  description:
    'Rolls out new revisions of a Deployment step by step, and back when they are bad. The fields are those of Flagger’s v1beta1, so a Canary of Flagger becomes one of Weft by its apiVersion.',
  spec: CanarySpec,
  specRequired: true,
  status: CanaryStatus,
  columns: [
    { name: 'Status', type: 'string', jsonPath: '.status.phase' },
    { name: 'Weight', type: 'integer', jsonPath: '.status.canaryWeight' },
    { name: 'Suspended', type: 'string', jsonPath: '.spec.suspend', priority: 1 },
    { name: 'FailedChecks', type: 'integer', jsonPath: '.status.failedChecks', priority: 1 },
    { name: 'Interval', type: 'string', jsonPath: '.spec.analysis.interval', priority: 1 },
    { name: 'LastTransitionTime', type: 'string', jsonPath: '.status.lastTransitionTime' },
  ],
  example: `apiVersion: weft.dev/v1alpha1
kind: Canary
metadata:
  name: podinfo
  namespace: demo
spec:
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: podinfo
  service:
    port: 9898
  analysis:
    interval: 30s
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    metrics:
      - name: request-success-rate
        interval: 1m
        thresholdRange:
          min: 99
      - name: request-duration
        interval: 1m
        thresholdRange:
          max: 500
`,
} as const satisfies KindDefinition;
