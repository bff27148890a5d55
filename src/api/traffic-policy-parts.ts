// The parts that a TrafficPolicy is made of; its rules take most of them as well.
import { DURATION_PATTERN } from '../kernel/index.ts';
import { StringEnum, Type } from './schema.ts';

function duration(description: string) {
  return Type.Optional(Type.String({ description, pattern: DURATION_PATTERN, maxLength: 32 }));
}

function count(description: string, maximum: number, minimum = 1) {
  return Type.Optional(Type.Integer({ description, minimum, maximum }));
}

function percent(description: string) {
  return Type.Optional(Type.Integer({ description, minimum: 0, maximum: 100 }));
}

export const Timeouts = Type.Object(
  {
    request: duration(
      'From the head of the request to the end of the response, all tries together. A shorter `grpc-timeout` of the client holds as well.',
    ),
    perTry: duration('From the sending of one try to the head of its response.'),
    response: duration('From the end of the request to the end of the response.'),
    idle: duration('Without a byte in either direction.'),
  },
  {
    description: 'At the end of one of these the client is answered 504, or told DEADLINE_EXCEEDED. Absent: no limit.',
  },
);

const RETRY_ON = '^(5xx|gateway-error|connect-failure|timeout|[1-5][0-9][0-9](-[1-5][0-9][0-9])?)$';
export const GRPC_CODES = {
  cancelled: 1,
  'deadline-exceeded': 4,
  'resource-exhausted': 8,
  internal: 13,
  unavailable: 14,
} as const;
type GrpcCode = keyof typeof GRPC_CODES;

export const Retry = Type.Object(
  {
    limit: Type.Integer({
      description: 'Further tries of one request.',
      minimum: 1,
      maximum: 10,
      default: 1,
    }),
    httpOn: Type.Optional(
      Type.Array(Type.String({ description: 'What is tried again.', pattern: RETRY_ON, maxLength: 16 }), {
        description:
          'What is tried again: `5xx`, `gateway-error` (502 to 504), `connect-failure`, `timeout` (of perTry), a status such as "429" or a range such as "500-504". Absent together with grpcOn: gateway-error and connect-failure.',
        maxItems: 16,
      }),
    ),
    grpcOn: Type.Optional(
      Type.Array(StringEnum(Object.keys(GRPC_CODES) as GrpcCode[], { description: 'A gRPC status.' }), {
        description: 'gRPC statuses that are tried again, as long as no message of the response has arrived.',
        maxItems: 8,
      }),
    ),
    methods: Type.Optional(
      Type.Array(Type.String({ description: 'HTTP method.', pattern: '^[A-Z]{1,32}$', maxLength: 32 }), {
        description:
          'Methods that may be sent twice. Absent: GET, HEAD, OPTIONS and TRACE. gRPC calls need no method here: grpcOn opts them in.',
        maxItems: 16,
      }),
    ),
    maxBodyBytes: Type.Integer({
      description: 'A request with a longer body is sent once.',
      minimum: 0,
      maximum: 1_048_576,
      default: 65_536,
    }),
    budget: Type.Optional(
      Type.Object(
        {
          percent: Type.Integer({
            description: 'Further tries per hundred requests of the last `ttl`.',
            minimum: 0,
            maximum: 100,
            default: 20,
          }),
          minPerSecond: Type.Integer({
            description: 'Further tries a second beside that, so that quiet clients may retry at all.',
            minimum: 0,
            maximum: 10_000,
            default: 10,
          }),
          ttl: Type.String({
            description: 'How far is looked back.',
            pattern: DURATION_PATTERN,
            maxLength: 32,
            default: '10s',
          }),
        },
        {
          description:
            'What all requests of one client proxy may spend together: without it retries multiply the load of a server that fails because of its load.',
        },
      ),
    ),
    backoff: duration(
      'Wait before the first further try, doubled for each; a random half of it is left out. Default 25ms.',
    ),
    maxBackoff: duration('Longest such wait. Default 250ms.'),
    maxRetryAfter: duration(
      'A response that asks by Retry-After for a longer pause is passed on, unless another endpoint can be tried. Default 1s.',
    ),
  },
  { description: 'Requests that fail are sent again, to another endpoint where there is one.' },
);

const SuccessRate = Type.Optional(
  Type.Object(
    {
      percent: Type.Integer({
        description: 'Below this share of successes.',
        minimum: 1,
        maximum: 100,
        default: 80,
      }),
      window: Type.String({
        description: 'How far is looked back.',
        pattern: DURATION_PATTERN,
        maxLength: 32,
        default: '10s',
      }),
      minRequests: Type.Integer({
        description: 'Fewer requests in the window say nothing.',
        minimum: 1,
        maximum: 1_000_000,
        default: 5,
      }),
    },
    { description: 'Too small a share of successes.' },
  ),
);

const breakerFields = {
  consecutiveFailures: count('Failures in a row.', 1_000_000, 0),
  successRate: SuccessRate,
  pause: duration('First pause until a probe, doubled for each that fails. Default 1s.'),
  maxPause: duration('Longest pause. Default 30s for endpoints, 1m for rules.'),
};

export const EndpointBreaker = Type.Object(
  {
    ...breakerFields,
    maxEjectedPercent: percent('Share of the endpoints that may be left out at one time. Default 50.'),
    panicPercent: percent('While fewer than this share are usable, all are used. 0: never.'),
  },
  {
    description:
      'When an endpoint that fails gets no requests for a while. Absent: after five failures in a row, for one second at first.',
  },
);

export const RouteBreaker = Type.Object(breakerFields, {
  description:
    'When the requests of this rule are answered 503 without being sent. Their failures then count here and against no endpoint.',
});

const LOAD_BALANCING = ['PeakEWMA', 'LeastRequest', 'RingHash', 'RoundRobin'] as const;

export const LoadBalancing = Type.Object(
  {
    algorithm: StringEnum(LOAD_BALANCING, {
      description:
        'PeakEWMA: the quicker of two. LeastRequest: the less busy of two. RingHash: equal keys go to one endpoint. RoundRobin: in turn.',
      default: 'PeakEWMA',
    }),
    hashOn: Type.Optional(
      Type.Object(
        {
          kind: StringEnum(['Header', 'Cookie', 'Identity', 'Source'], {
            description: 'Identity is the service account of the caller, Source its pod.',
          }),
          name: Type.Optional(Type.String({ description: 'Of the header or cookie.', minLength: 1, maxLength: 253 })),
        },
        {
          description:
            'What requests are told apart by; needed by RingHash. A request without it is spread by latency.',
        },
      ),
    ),
    slowStart: duration('Time in which the share of a new endpoint rises; 0s: at once. Default 10s.'),
    zonePreference: StringEnum(['None', 'Prefer'], {
      description: 'Prefer: endpoints in the zone of the caller as long as they can bear it.',
      default: 'None',
    }),
  },
  { description: 'How requests are spread over the endpoints of the Service.' },
);

const HttpMatchSchema = Type.Object(
  {
    path: Type.Optional(
      Type.Object(
        {
          type: StringEnum(['Exact', 'PathPrefix', 'RegularExpression'], {
            description: 'How the value is compared; an expression must match the whole path.',
            default: 'PathPrefix',
          }),
          value: Type.String({ description: 'The path, or the RE2 expression.', minLength: 1, maxLength: 1024 }),
        },
        { description: 'Condition on the path, without the query.' },
      ),
    ),
    headers: Type.Optional(
      Type.Array(
        Type.Object(
          {
            type: StringEnum(['Exact', 'RegularExpression'], {
              description: 'How the value is compared.',
              default: 'Exact',
            }),
            name: Type.String({
              description: 'Name of the header, in any case.',
              pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
              maxLength: 256,
            }),
            value: Type.String({ description: 'The value, or the RE2 expression.', maxLength: 4096 }),
          },
          { description: 'Condition on one header.' },
        ),
        { description: 'All must hold.', maxItems: 16 },
      ),
    ),
    queryParams: Type.Optional(
      Type.Array(
        Type.Object(
          {
            type: StringEnum(['Exact', 'RegularExpression'], {
              description: 'How the value is compared.',
              default: 'Exact',
            }),
            name: Type.String({ description: 'Name of the parameter.', minLength: 1, maxLength: 256 }),
            value: Type.String({ description: 'The value, or the RE2 expression.', maxLength: 1024 }),
          },
          { description: 'Condition on the first value of one parameter of the query.' },
        ),
        { description: 'All must hold.', maxItems: 16 },
      ),
    ),
    method: Type.Optional(Type.String({ description: 'HTTP method.', pattern: '^[A-Z]{1,32}$', maxLength: 32 })),
  },
  { description: 'Path, headers, query and method must all fit.' },
);

export const Matches = Type.Array(HttpMatchSchema, {
  description: 'Alternatives. Absent or empty: every request.',
  maxItems: 8,
});

export const Faults = Type.Array(
  Type.Object(
    {
      name: Type.String({ description: 'For metrics and people; unique in its list.', minLength: 1, maxLength: 63 }),
      matches: Type.Optional(Matches),
      identities: Type.Optional(
        Type.Array(Type.String({ description: 'spiffe:// URI, or the DNS form.', minLength: 1, maxLength: 253 }), {
          description: 'Callers that it is meant for. Absent or empty: every caller.',
          maxItems: 16,
        }),
      ),
      percent: percent('Share of these requests. Default 100.'),
      permille: Type.Optional(
        Type.Integer({
          description: 'The same in thousandths, for less than one in a hundred. Not beside percent.',
          minimum: 0,
          maximum: 1_000,
        }),
      ),
      delay: duration('Before the request goes on; at most 1m.'),
      abort: Type.Optional(
        Type.Object(
          {
            status: Type.Integer({
              description: 'Status that the caller gets instead.',
              minimum: 400,
              maximum: 599,
              default: 503,
            }),
            grpcStatus: Type.Integer({
              description: 'The same for gRPC.',
              minimum: 1,
              maximum: 16,
              default: 14,
            }),
          },
          { description: 'The request is answered and not sent.' },
        ),
      ),
      until: Type.String({
        description: 'When it ends by itself. A fault without an end is refused.',
        format: 'date-time',
        maxLength: 64,
      }),
      successFloorPercent: percent(
        'It ends by itself for each caller of whose requests fewer than this succeeded in the last 10 s, those left out that it answered itself. 0: never.',
      ),
    },
    { description: 'One fault.' },
  ),
  {
    description:
      'What is done to some requests on purpose, to see who bears it. The first that applies to a request is injected.',
    maxItems: 8,
  },
);

export const maxRequests = (description: string) => count(description, 1_000_000);
export { duration };
