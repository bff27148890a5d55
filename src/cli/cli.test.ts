import { expect, test } from 'vitest';
import type { CheckAnswer, ProxiesAnswer, ProxyConfigAnswer, StatAnswer, StatusAnswer } from '../contract/index.ts';
import { objectKey } from '../kernel/index.ts';
import { CliError, EXIT } from './exit-code.ts';
import { runCommandLine } from './run.ts';
import type { Replica, Session } from './session.ts';

const counts = { connected: 2, current: 1, silent: 0, refusing: 1 };

const proxy = {
  namespace: 'demo',
  pod: 'web-1',
  replica: 'weft-operator-a',
  podUid: 'u1',
  mesh: 'default',
  node: 'node-1',
  zone: '',
  version: '0.1.0',
  connectedAt: '2026-01-01T00:00:00.000Z',
  lastHeardAt: '2026-01-01T00:00:09.000Z',
  state: 'refusing',
  resources: { total: 2, current: 1, refused: 1 },
} as const;

const check: CheckAnswer = {
  version: '0.1.0',
  replica: 'weft-operator-a',
  ready: true,
  checks: [
    { name: 'the operator is ready', result: 'ok', message: '', remedy: '' },
    {
      name: 'every connected proxy answers',
      result: 'warning',
      message: 'demo/web-1',
      remedy: 'see whether these pods and their nodes are alive',
    },
  ],
};

const status: StatusAnswer = {
  replica: 'weft-operator-a',
  generation: 7,
  meshes: [
    {
      name: 'default',
      trustDomain: 'cluster.local',
      issuer: { generation: 'weft-issuer-default-0a1b', notAfter: '2026-06-01T00:00:00.000Z' },
      proxies: counts,
    },
    { name: 'other', trustDomain: '', issuer: null, proxies: { connected: 0, current: 0, silent: 0, refusing: 0 } },
  ],
  missing: [],
  unmeshed: { total: 0, pods: [] },
  namespaces: [{ namespace: 'demo', mesh: 'default', pods: { total: 3, meshed: 2 }, proxies: counts }],
  problems: [
    {
      object: objectKey({ group: 'policy.linkerd.io', kind: 'Server', namespace: 'demo', name: 'http' }),
      path: 'spec.port',
      reason: 'Invalid',
      message: 'the port "x" is no port of any selected pod: name a container port',
      severity: 'error',
    },
  ],
};

const config: ProxyConfigAnswer = {
  replica: 'weft-operator-a',
  proxy,
  missing: [],
  resources: [
    {
      name: 'outbound/10.0.0.1:80',
      version: 'bb',
      sentVersion: 'bb',
      ackedVersion: 'aa',
      current: false,
      refusal: 'weight is negative',
      derivedFrom: [{ object: 'split.smi-spec.io/TrafficSplit/demo/web', generation: 7 }],
      body: {},
    },
    {
      name: 'workload',
      version: 'cc',
      sentVersion: 'cc',
      ackedVersion: 'cc',
      current: true,
      refusal: '',
      derivedFrom: [],
      body: { kind: 'workload' },
    },
  ],
};

const stat: StatAnswer = {
  replica: 'weft-operator-a',
  windowSeconds: 5,
  rows: [
    {
      namespace: 'demo',
      kind: 'Deployment',
      name: 'web',
      pods: { total: 3, meshed: 2 },
      requests: 500,
      successRate: 0.998,
      requestsPerSecond: 100,
      latencyMs: { p50: 1.2, p95: 20, p99: 104.5 },
      tcpConnections: 12,
    },
    {
      namespace: 'demo',
      kind: 'StatefulSet',
      name: 'db',
      pods: { total: 1, meshed: 1 },
      requests: 0,
      successRate: null,
      requestsPerSecond: 0,
      latencyMs: null,
      tcpConnections: 3,
    },
  ],
  unreachable: [{ namespace: 'demo', pod: 'web-2', reason: 'timeout' }],
};

const proxies: ProxiesAnswer = { replica: 'weft-operator-a', proxies: [proxy], missing: [] };

const cluster: Readonly<Record<string, unknown>> = {
  '/version': { gitVersion: 'v1.34.4' },
  '/apis/weft.dev/v1alpha1': {},
  '/apis/split.smi-spec.io/v1alpha4': {},
  '/apis/specs.smi-spec.io/v1alpha4': {},
  '/apis/policy.linkerd.io/v1beta3': {},
  '/apis/apps/v1/namespaces/weft-system/deployments/weft-operator': {
    spec: { replicas: 1 },
    status: { readyReplicas: 1 },
  },
  '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-webhooks': {
    webhooks: [{ name: 'inject.weft.dev', clientConfig: { caBundle: 'AAAA' } }],
  },
};

const answers: Readonly<Record<string, unknown>> = {
  '/v1/check': check,
  '/v1/status': status,
  '/v1/status?namespace=demo': status,
  '/v1/proxies?namespace=demo': proxies,
  '/v1/proxies/demo/web-1/config': config,
  '/v1/stat?namespace=demo&window=5': stat,
};

interface Given {
  readonly cluster?: Readonly<Record<string, unknown>>;
  /** Answers by replica, or why it cannot be reached. */
  readonly replicas?: readonly (Readonly<Record<string, unknown>> | CliError)[];
  readonly unreachable?: CliError;
  readonly colour?: boolean;
}

async function weft(line: string, given: Given = {}): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const terminal = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    colour: given.colour ?? false,
  };
  const replicas = (given.replicas ?? [answers]).map(
    (known, index): Replica => ({
      pod: `weft-operator-${'abc'[index]}`,
      get: async <T>(path: string) => {
        if (known instanceof CliError) throw known;
        return known[path] as T | undefined;
      },
    }),
  );
  const session: Session = {
    namespace: 'demo',
    cluster: {
      get: async path => (given.cluster ?? cluster)[path],
      patch: () => Promise.reject(new Error('nothing is changed here')),
    },
    replicas: async () => {
      const [first, ...rest] = replicas;
      if (given.unreachable !== undefined || first === undefined) throw given.unreachable ?? new Error('no replica');
      return [first, ...rest];
    },
  };
  const pace = { nowMs: () => 0, sleep: () => Promise.resolve() };
  const code = await runCommandLine(line.split(' '), { version: '0.1.0', terminal, pace, connect: () => session });
  return { code, out, err };
}

test('check of a sound mesh: a warning names its remedy and breaks nothing', async () => {
  const { code, out } = await weft('check');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatchInlineSnapshot(`
    "cluster
      ✓ the API server answers (v1.34.4)
    installation
      ✓ the kinds of weft.dev/v1alpha1 are known
      ✓ the kinds of split.smi-spec.io/v1alpha4 are known
      ✓ the kinds of specs.smi-spec.io/v1alpha4 are known
      ✓ the kinds of policy.linkerd.io/v1beta3 are known
      ✓ the operator is deployed and all its replicas are ready (1 of 1)
      ✓ the webhooks are registered and trusted
    operator weft-operator-a
      ✓ the operator is ready
      ! every connected proxy answers (demo/web-1)
          see whether these pods and their nodes are alive

    sound: 9 checks, 0 errors, 1 warning
    "
  `);
});

test('check of a broken installation: every step is tried, and the exit code says so', async () => {
  const unreachable = new CliError(EXIT.unreachable, 'no operator pod is ready', 'look at it');
  const { code, out } = await weft('check', { cluster: { '/version': { gitVersion: 'v1.34.4' } }, unreachable });
  expect(code).toBe(EXIT.failed);
  expect(out).toMatchInlineSnapshot(`
    "cluster
      ✓ the API server answers (v1.34.4)
    installation
      ✗ the kinds of weft.dev/v1alpha1 are known (no such API)
          install the chart, or apply the files of crds/
      ✗ the kinds of split.smi-spec.io/v1alpha4 are known (no such API)
          install the chart, or apply the files of crds/
      ✗ the kinds of specs.smi-spec.io/v1alpha4 are known (no such API)
          install the chart, or apply the files of crds/
      ✗ the kinds of policy.linkerd.io/v1beta3 are known (no such API)
          install the chart, or apply the files of crds/
      ✗ the operator is deployed and all its replicas are ready (there is no Deployment weft-operator in weft-system)
          install the chart
      ✗ the webhooks are registered and trusted (there is no configuration weft-webhooks)
          install the chart
    operator
      ✗ the operator can be reached (no operator pod is ready)
          look at it

    broken: 8 checks, 7 errors, 0 warnings
    "
  `);
});

test('status: meshes, namespaces and problems', async () => {
  const { code, out } = await weft('status');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatchInlineSnapshot(`
    "MESH     TRUST DOMAIN   ISSUER                    ISSUER ENDS               PROXIES  CURRENT  SILENT  REFUSING
    default  cluster.local  weft-issuer-default-0a1b  2026-06-01T00:00:00.000Z        2        1       0         1
    other    -              none                      -                               0        0       0         0

    NAMESPACE  MESH     MESHED  PROXIES  CURRENT  SILENT  REFUSING
    demo       default     2/3        2        1       0         1

    error policy.linkerd.io/Server/demo/http spec.port: the port "x" is no port of any selected pod: name a container port
    "
  `);
});

test('status of a namespace lists its proxies', async () => {
  const { out } = await weft('status -n demo');
  expect(out).toContain('POD    NODE    VERSION  STATE     RESOURCES\nweb-1  node-1  0.1.0    refusing        1/2\n');
});

test('status takes the word of the replica that misses fewest others, and names those that nobody can answer for', async () => {
  const reason = 'no answer within 10 s';
  const partial = { ...status, missing: ['b', 'c'].map(name => ({ replica: `weft-operator-${name}`, reason })) };
  const fuller = { ...status, generation: 8, missing: [{ replica: 'weft-operator-c', reason }] };
  const { code, out, err } = await weft('status -o json', {
    replicas: [{ '/v1/status': partial }, { '/v1/status': fuller }],
  });
  expect(code).toBe(EXIT.ok);
  expect(JSON.parse(out)).toMatchObject({ generation: 8, missing: [{ replica: 'weft-operator-c' }] });
  expect(err).toBe(
    'not answered for: replica weft-operator-c of the operator, whose proxies may be missing (no answer within 10 s)\n',
  );
});

test('status names pods that should have a proxy and have none', async () => {
  const pods = ['a', 'b'].map(pod => ({ namespace: 'demo', pod }));
  const { out } = await weft('status', {
    replicas: [{ '/v1/status': { ...status, problems: [], unmeshed: { total: 12, pods } } }],
  });
  expect(out).toContain(
    '\nwarning without a proxy, though they should have one: demo/a, demo/b and 10 more\n  restart them: kubectl rollout restart\n',
  );
});

test('status counts nothing twice: one replica that misses none answers for all', async () => {
  const { out, err } = await weft('status -o json', { replicas: [answers, answers] });
  expect(JSON.parse(out).meshes[0].proxies).toEqual(counts);
  expect(err).toBe('');
});

test('status is answered by another replica when one cannot be reached', async () => {
  const away = new CliError(EXIT.unreachable, 'no way to the operator pod', 'try again');
  expect((await weft('status', { replicas: [away, answers] })).code).toBe(EXIT.ok);
  expect(await weft('status', { replicas: [away, away] })).toMatchObject({ code: EXIT.unreachable });
});

test('stat: figures by workload, and who is missing from them', async () => {
  const { code, out, err } = await weft('stat');
  expect(code).toBe(EXIT.ok);
  expect(err).toBe('not counted: the proxy of pod web-2 did not answer (timeout)\n');
  expect(out).toMatchInlineSnapshot(`
    "WORKLOAD        MESHED  SUCCESS    RPS    P50   P95      P99  TCP
    deployment/web     2/3   99.80%  100.0  1.2ms  20ms  104.5ms   12
    statefulset/db     1/1        -    0.0      -     -        -    3
    "
  `);
});

test('proxy-config: what is held, and what was refused and why', async () => {
  const { code, out } = await weft('proxy-config web-1');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatchInlineSnapshot(`
    "demo/web-1: refusing, version 0.1.0, mesh default, connected 2026-01-01T00:00:00.000Z to weft-operator-a

    RESOURCE              STATE    VERSION  HELD  FROM
    outbound/10.0.0.1:80  refused  bb       aa    TrafficSplit/demo/web@7
    workload              current  cc       cc    -

    refused outbound/10.0.0.1:80: weight is negative
    "
  `);
});

test('proxy-config is answered by whichever replica the proxy is connected to', async () => {
  const { code, out } = await weft('proxy-config web-1 -r workload', { replicas: [{}, answers] });
  expect(code).toBe(EXIT.ok);
  expect(out).toContain('name: workload\n');
});

test('version asks the operator, unless told not to', async () => {
  expect((await weft('version')).out).toBe(
    'PROGRAM          VERSION\nweft             0.1.0\nweft-operator-a  0.1.0\n',
  );
  const unreachable = new CliError(EXIT.unreachable, 'away', 'wait');
  expect(await weft('version --client', { unreachable })).toEqual({
    code: EXIT.ok,
    out: 'PROGRAM  VERSION\nweft     0.1.0\n',
    err: '',
  });
});

test.each([
  {
    line: 'proxy-config gone',
    code: EXIT.failed,
    err: 'error: no proxy of pod demo/gone is connected to the operator\nis it in the mesh',
  },
  {
    line: 'proxy-config web-1 -r x',
    code: EXIT.failed,
    err: 'error: the proxy does not hold x\nit holds: outbound/10.0.0.1:80, workload\n',
  },
  {
    line: 'stat -w 61',
    code: EXIT.usage,
    err: "error: option '-w, --window <seconds>' argument '61' is invalid. Give 0 to 60 seconds.",
  },
  { line: 'status -o xml', code: EXIT.usage, err: 'Allowed choices are table, json' },
  { line: 'stats', code: EXIT.usage, err: "error: unknown command 'stats'\n(Did you mean" },
])('$line: exit code $code, and the message says what to do', async ({ line, code, err }) => {
  const found = await weft(line);
  expect(found.code).toBe(code);
  expect(found.out).toBe('');
  expect(found.err).toContain(err);
});

test('an operator that cannot be reached has an exit code of its own', async () => {
  const unreachable = new CliError(EXIT.unreachable, 'no operator pod is ready', 'look at it');
  expect(await weft('status', { unreachable })).toEqual({
    code: EXIT.unreachable,
    out: '',
    err: 'error: no operator pod is ready\nlook at it\n',
  });
});

test('colours are for screens only', async () => {
  expect((await weft('check')).out).not.toContain('\u001B');
  expect((await weft('check', { colour: true })).out).toContain('\u001B[32m✓\u001B[0m');
});

test.each(['check', 'status -n demo', 'stat', 'proxy-config web-1', 'version'])('%s -o json is JSON', async line => {
  const { code, out } = await weft(`${line} -o json`);
  expect(code).toBe(EXIT.ok);
  expect(Object.keys(JSON.parse(out)).length).toBeGreaterThan(0);
});
