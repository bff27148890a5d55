// How a Canary is judged; the fields are those of Flagger's v1beta1.
import { DURATION_PATTERN } from '../kernel/index.ts';
import { Anything, exactlyOne, type Static, StringEnum, Type } from './schema.ts';

const text = (description: string, maxLength = 253) => Type.String({ description, maxLength });
const name = (description: string) => Type.String({ description, minLength: 1, maxLength: 253 });
const duration = (description: string) => Type.String({ description, pattern: DURATION_PATTERN, maxLength: 32 });
const whole = (description: string, minimum: number, maximum: number) =>
  Type.Integer({ description, minimum, maximum });
const percent = (description: string) => Type.Optional(whole(description, 0, 100));

export const TextMap = (description: string, maxLength = 1024) =>
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: { type: 'string', maxLength },
    description,
  });

const Reference = (description: string) =>
  Type.Object(
    {
      name: name('Name of the object.'),
      namespace: Type.Optional(text('Its namespace; absent: that of the Canary.', 63)),
    },
    { description },
  );

const HeaderMatch = Type.Object(
  {
    exact: Type.Optional(text('The whole value.', 1024)),
    prefix: Type.Optional(text('How the value begins.', 1024)),
    suffix: Type.Optional(text('How the value ends.', 1024)),
    regex: Type.Optional(text('RE2 expression that the whole value must match.', 1024)),
  },
  { description: 'Exactly one of these.' },
);

const Match = Type.Object(
  {
    headers: Type.Optional(
      Type.Unsafe<Record<string, Static<typeof HeaderMatch>>>({
        type: 'object',
        additionalProperties: HeaderMatch,
        description:
          'Conditions by the name of the header, of which all must hold; a cookie is in the header `cookie`.',
      }),
    ),
    queryParams: Type.Optional(Anything({ description: 'Refused: a split tells requests apart by headers alone.' })),
    sourceLabels: Type.Optional(Anything({ description: 'Refused: a split does not look at who calls.' })),
  },
  { description: 'All that it says must hold.' },
);

const Metric = Type.Object(
  {
    name: name(
      '`request-success-rate` (percent), `request-duration` (99th percentile, in milliseconds), or any name beside `query` or `templateRef`.',
    ),
    interval: Type.Optional(duration('How far is looked back. Default 1m.')),
    threshold: Type.Optional(
      Type.Number({ description: 'Older form: the minimum of request-success-rate, the maximum of all others.' }),
    ),
    thresholdRange: Type.Optional(
      Type.Object(
        {
          min: Type.Optional(Type.Number({ description: 'A lower value fails.' })),
          max: Type.Optional(Type.Number({ description: 'A higher value fails.' })),
        },
        { description: 'What is good, both ends included.' },
      ),
    ),
    query: Type.Optional(text('PromQL; better kept in a MetricTemplate.', 8192)),
    templateRef: Type.Optional(Reference('The MetricTemplate that has the query.')),
    templateVariables: Type.Optional(TextMap('For `{{ variables.<name> }}` in the query.')),
  },
  { description: 'One measure.' },
);

const HOOK_TYPES = [
  '',
  'confirm-rollout',
  'pre-rollout',
  'rollout',
  'confirm-traffic-increase',
  'confirm-promotion',
  'post-rollout',
  'rollback',
  'event',
] as const;

const Webhook = Type.Object(
  {
    name: name('For people.'),
    type: Type.Optional(StringEnum(HOOK_TYPES, { description: 'When it is called; empty is `rollout`.' })),
    url: Type.String({ description: 'http:// or https://.', pattern: '^https?://', maxLength: 2048 }),
    timeout: Type.Optional(duration('For one attempt. Default 10s.')),
    retries: Type.Optional(whole('Further attempts after no answer or a status of 500 and above. Default 0.', 0, 10)),
    disableTLS: Type.Optional(Type.Boolean({ description: 'Accept any certificate.' })),
    muteAlert: Type.Optional(Type.Boolean({ description: 'Send no alert when it holds the canary.' })),
    metadata: Type.Optional(TextMap('Sent along.', 8192)),
  },
  { description: 'One call: POST with name, namespace, phase, checksum and metadata. A status up to 202 is a yes.' },
);

const Alert = Type.Object(
  {
    name: name('For people.'),
    severity: Type.Optional(
      StringEnum(['', 'info', 'warn', 'error'], { description: 'The least that is sent. Empty or absent: info.' }),
    ),
    providerRef: Reference('The AlertProvider.'),
  },
  { description: 'Where is told what happens.' },
);

export const CanaryAnalysis = Type.Object(
  {
    interval: duration('Time between two looks, at least 1s.'),
    threshold: whole('Failed looks after which the canary is rolled back. 0 is 1.', 0, 1_000_000),
    iterations: Type.Optional(
      whole('Looks before promotion, without steps: blue/green, or A/B beside `match`.', 0, 10_000),
    ),
    stepWeight: Type.Optional(whole('Percent by which the share of the canary grows.', 0, 100)),
    stepWeights: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 100 }), {
        description: 'Shares of the canary in percent, one after the other.',
        maxItems: 100,
      }),
    ),
    maxWeight: percent('Share at which the canary is promoted. 0 or absent: 100.'),
    stepWeightPromotion: percent(
      'Percent by which the share of the new primary grows after promotion. 0 or absent: all at once.',
    ),
    primaryReadyThreshold: percent('Share of the primary’s pods that must be available. Default 100.'),
    canaryReadyThreshold: percent('Share of the canary’s pods that must be available. Default 100.'),
    match: Type.Optional(
      Type.Array(Match, {
        description: 'Which requests go to the canary (A/B): those that match one of these.',
        maxItems: 16,
      }),
    ),
    mirror: Type.Optional(Type.Boolean({ description: 'Refused: requests are not mirrored.' })),
    mirrorWeight: Type.Optional(whole('Without effect.', 0, 100)),
    metrics: Type.Optional(
      Type.Array(Metric, { description: 'What is measured; the first failure ends a look.', maxItems: 32 }),
    ),
    webhooks: Type.Optional(
      Type.Array(Webhook, { description: 'What is asked and told, in this order.', maxItems: 32 }),
    ),
    alerts: Type.Optional(Type.Array(Alert, { description: 'Who is told.', maxItems: 16 })),
    sessionAffinity: Type.Optional(Anything({ description: 'Refused: no cookie keeps a client at its version.' })),
    minRequests: Type.Optional(
      whole(
        'Weft only. Fewer requests within the interval of a built-in metric say nothing, neither good nor bad. Default 1.',
        1,
        1_000_000_000,
      ),
    ),
    inconclusiveLimit: Type.Optional(
      whole(
        'Weft only. Looks in a row that say nothing (no data, or a metrics server that does not answer) after which the canary is rolled back; 0: never. Default 10.',
        0,
        1_000_000,
      ),
    ),
  },
  { description: 'How the new version is judged.', ...exactlyOne('iterations', 'stepWeight', 'stepWeights') },
);
