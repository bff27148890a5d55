import type { KindDefinition } from './definition.ts';
import { DNS_SUBDOMAIN, type Static, Type } from './schema.ts';

const MetricTemplateSpec = Type.Object(
  {
    provider: Type.Object(
      {
        type: Type.String({
          description: '`prometheus`; others are refused when the template is used.',
          maxLength: 63,
        }),
        address: Type.Optional(
          Type.String({
            description: 'Of the Prometheus; absent: the one that the Canary or the controller names.',
            pattern: '^(https?://.*)?$',
            maxLength: 2048,
          }),
        ),
        headers: Type.Optional(
          Type.Unsafe<Record<string, readonly string[]>>({
            type: 'object',
            additionalProperties: {
              type: 'array',
              maxItems: 8,
              description: 'Values.',
              items: { type: 'string', maxLength: 8192 },
            },
            description: 'Sent with the query.',
          }),
        ),
        secretRef: Type.Optional(
          Type.Object(
            { name: Type.String({ description: 'Name of the Secret.', pattern: DNS_SUBDOMAIN, maxLength: 253 }) },
            { description: 'Secret in the namespace of this object with `username` and `password`, or `token`.' },
          ),
        ),
        insecureSkipVerify: Type.Optional(Type.Boolean({ description: 'Accept any certificate.' })),
        region: Type.Optional(Type.String({ description: 'Without effect.', maxLength: 63 })),
      },
      { description: 'Who is asked.' },
    ),
    query: Type.String({
      description:
        'PromQL with `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ service }}`, `{{ ingress }}`, `{{ route }}`, `{{ interval }}` and `{{ variables.<name> }}`.',
      minLength: 1,
      maxLength: 8192,
    }),
  },
  { description: 'A query, and who answers it.' },
);

export type MetricTemplateSpec = Static<typeof MetricTemplateSpec>;

export const metricTemplate = {
  group: 'weft.dev',
  kind: 'MetricTemplate',
  plural: 'metrictemplates',
  singular: 'metrictemplate',
  shortNames: ['wmt'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [{ name: 'v1alpha1', storage: true }],
  description: 'A query that the metrics of a Canary refer to.',
  spec: MetricTemplateSpec,
  specRequired: true,
  status: Type.Object({}, { description: 'Empty: what is wrong is told where the template is used.' }),
  columns: [
    { name: 'Provider', type: 'string', jsonPath: '.spec.provider.type' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  example: `apiVersion: weft.dev/v1alpha1
kind: MetricTemplate
metadata:
  name: not-found-percentage
  namespace: demo
spec:
  provider:
    type: prometheus
    address: http://prometheus.monitoring:9090
  query: |
    100 * sum(rate(response_total{namespace="{{ namespace }}",deployment="{{ target }}",status_code="404"}[{{ interval }}]))
    / sum(rate(response_total{namespace="{{ namespace }}",deployment="{{ target }}"}[{{ interval }}]))
`,
} as const satisfies KindDefinition;
