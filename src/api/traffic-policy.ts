import { READY_COLUMNS, type KindDefinition } from './definition.ts';
import { ConditionsStatus, DNS_LABEL, type Static, StringEnum, Type } from './schema.ts';
import {
  duration,
  EndpointBreaker,
  Faults,
  LoadBalancing,
  Matches,
  maxRequests,
  Retry,
  RouteBreaker,
  Timeouts,
} from './traffic-policy-parts.ts';

const TrafficPolicySpec = Type.Object(
  {
    targetRef: Type.Object(
      {
        group: Type.Optional(Type.String({ description: 'Always empty: core.', maxLength: 253 })),
        kind: StringEnum(['Service'], { description: 'What it is about.', default: 'Service' }),
        name: Type.String({
          description: 'The Service, in the namespace of this object.',
          pattern: DNS_LABEL,
          minLength: 1,
          maxLength: 63,
        }),
      },
      { description: 'The Service whose callers carry their requests so.' },
    ),
    timeouts: Type.Optional(Timeouts),
    retry: Type.Optional(Retry),
    circuitBreaker: Type.Optional(EndpointBreaker),
    loadBalancing: Type.Optional(LoadBalancing),
    concurrency: Type.Optional(
      Type.Object(
        {
          maxRequests: maxRequests('Requests that one calling pod may have under way; one more is answered 503.'),
          maxRequestsPerPod: maxRequests(
            'Requests that one pod behind the Service may have under way; its proxy answers one more with 503. Probes are let through.',
          ),
        },
        { description: 'Limits of what is under way at one time. Absent: none.' },
      ),
    ),
    connection: Type.Optional(
      Type.Object(
        {
          maxAge: duration(
            'Age at which a pod behind the Service ends the HTTP connections of its clients as soon as that breaks nothing, and upgraded ones at once, so that long-lived clients find new pods.',
          ),
        },
        { description: 'Of the connections to the pods behind the Service.' },
      ),
    ),
    faults: Type.Optional(Faults),
    rules: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({
              description: 'Unique within the object; budgets, breakers and metrics are kept by it.',
              pattern: DNS_LABEL,
              minLength: 1,
              maxLength: 63,
            }),
            matches: Type.Optional(Matches),
            timeouts: Type.Optional(Timeouts),
            retry: Type.Optional(Retry),
            circuitBreaker: Type.Optional(RouteBreaker),
            maxRequests: maxRequests('As concurrency.maxRequests, for these requests alone.'),
            faults: Type.Optional(Faults),
          },
          { description: 'What holds for some requests; what it does not say is as the object says.' },
        ),
        {
          description: 'The first that matches a request holds for it; where none does, the object itself.',
          maxItems: 16,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
  },
  { description: 'How requests to one Service are carried.' },
);

export type TrafficPolicySpec = Static<typeof TrafficPolicySpec>;

export const trafficPolicy = {
  group: 'weft.dev',
  kind: 'TrafficPolicy',
  plural: 'trafficpolicies',
  singular: 'trafficpolicy',
  shortNames: ['tp'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [{ name: 'v1alpha1', storage: true }],
  description:
    'Says how requests to one Service are carried: timeouts, retries within a budget, circuit breaking, load balancing, limits, and faults on purpose. It takes effect at the callers, so callers without a proxy know nothing of it. Where several name the same Service, the oldest holds.',
  spec: TrafficPolicySpec,
  specRequired: true,
  status: ConditionsStatus,
  columns: [
    { name: 'Service', type: 'string', jsonPath: '.spec.targetRef.name', description: 'The Service that it is about.' },
    ...READY_COLUMNS,
  ],
  example: `apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata:
  name: podinfo
  namespace: demo
spec:
  targetRef:
    kind: Service
    name: podinfo
  timeouts:
    request: 10s
    perTry: 2s
  retry:
    limit: 2
    httpOn: [gateway-error, connect-failure]
    grpcOn: [unavailable]
  circuitBreaker:
    consecutiveFailures: 5
  rules:
    - name: reports
      matches:
        - path:
            type: PathPrefix
            value: /reports
      timeouts:
        request: 1m
`,
} as const satisfies KindDefinition;
