import { READY_COLUMNS, type KindDefinition } from './definition.ts';
import { ConditionsStatus, DNS_SUBDOMAIN, type Static, Type, WeightQuantity } from './schema.ts';

export const TrafficSplitSpec = Type.Object(
  {
    service: Type.String({
      description:
        'The root: the Service that clients address, in the namespace of this object. Written as `name`, `name.namespace` or as its full DNS name.',
      minLength: 1,
      maxLength: 253,
    }),
    backends: Type.Array(
      Type.Object(
        {
          service: Type.String({
            description:
              'A Service in the namespace of this object, named by one backend only. It must have every port of the root that it is to receive.',
            minLength: 1,
            maxLength: 253,
          }),
          weight: WeightQuantity({
            description:
              'Share relative to the other weights, which need not sum to 100: a whole number, or a quantity such as "500m"; at most 1000000, also when fractions have made all weights of the object whole numbers. 0 sends nothing here.',
          }),
        },
        { description: 'One weighted choice.' },
      ),
      {
        description:
          'Where the traffic goes. When every weight is 0, or nothing is left of the list, the root serves its own endpoints.',
        maxItems: 64,
      },
    ),
    matches: Type.Optional(
      Type.Array(
        Type.Object(
          {
            apiGroup: Type.Optional(Type.String({ description: 'Empty or `specs.smi-spec.io`.', maxLength: 253 })),
            kind: Type.String({ description: 'Always `HTTPRouteGroup`.', maxLength: 63 }),
            name: Type.String({
              description: 'Name of the group, in the namespace of this object.',
              pattern: DNS_SUBDOMAIN,
              maxLength: 253,
            }),
          },
          { description: 'A reference to an HTTPRouteGroup.' },
        ),
        {
          description:
            'When given, only requests that match one of the routes of these groups are split; all others go to the endpoints of the root.',
          maxItems: 32,
        },
      ),
    ),
  },
  { description: 'What is split, and how.' },
);

export type TrafficSplitSpec = Static<typeof TrafficSplitSpec>;

export const trafficSplit = {
  group: 'split.smi-spec.io',
  kind: 'TrafficSplit',
  plural: 'trafficsplits',
  singular: 'trafficsplit',
  shortNames: ['ts'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [{ name: 'v1alpha1' }, { name: 'v1alpha2' }, { name: 'v1alpha3' }, { name: 'v1alpha4', storage: true }],
  description:
    'Splits the traffic that clients send to one Service among several, by weight, per request (or per connection where the traffic is not HTTP). The split happens at the client, so clients without a proxy see the Service as it is.',
  spec: TrafficSplitSpec,
  specRequired: true,
  status: ConditionsStatus,
  columns: [
    {
      name: 'Service',
      type: 'string',
      jsonPath: '.spec.service',
      description: 'The Service whose traffic is split.',
    },
    ...READY_COLUMNS,
  ],
  example: `apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata:
  name: podinfo
  namespace: demo
spec:
  service: podinfo
  backends:
    - service: podinfo-primary
      weight: 90
    - service: podinfo-canary
      weight: 10
`,
} as const satisfies KindDefinition;
