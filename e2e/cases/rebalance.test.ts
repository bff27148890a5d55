import { beforeAll, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  eventually,
  evidence,
  fileNamespace,
  kubectl,
  type LoadReport,
  podIp,
  putPolicy,
  type RunningLoad,
  serverApp,
  service,
  startLoad,
  sumOf,
  waitAnswered,
  waitRollout,
  weftMetrics,
} from '../harness/index.ts';

// A service grows from one replica to three while clients go on over the connections that they have.
const namespace = fileNamespace('rebalance');
const long = { durationMs: 180_000 } as const;
const grpc = { ...long, protocol: 'grpc', target: 'web:9090', connections: 1, rate: 100 } as const;
const http = { ...long, protocol: 'http1', target: 'http://web/', connections: 1, concurrency: 1, rate: 50 } as const;
const webSockets = {
  ...long,
  protocol: 'websocket',
  target: 'ws://web/websocket',
  connections: 6,
  rate: 30,
} as const;

const backends = ({ byBackend }: LoadReport): number => Object.keys(byBackend).length;

const env = [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];

beforeAll(async () => {
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web', says: '$(POD_NAME)', args: ['--delay', '5ms'], container: { env } }),
    ...clientPod({ namespace, name: 'client' }),
    ...clientPod({ namespace, name: 'outsider', meshed: false }),
  );
  await Promise.all(['web', 'client', 'outsider'].map(app => waitRollout(namespace, app)));
  await Promise.all(['client', 'outsider'].map(app => waitAnswered(namespace, app)));
});

it('long-lived clients reach new replicas over the connections that they have; without a proxy, and by an open WebSocket, they do not', async () => {
  const running: Readonly<Record<string, RunningLoad>> = {
    'one gRPC channel': await startLoad(namespace, 'client', grpc),
    'one HTTP/1.1 connection': await startLoad(namespace, 'client', http),
    'six WebSockets': await startLoad(namespace, 'client', webSockets),
    'one gRPC channel without a proxy': await startLoad(namespace, 'outsider', grpc),
    'one HTTP/1.1 connection without a proxy': await startLoad(namespace, 'outsider', http),
  };
  for (const [what, load] of Object.entries(running))
    await eventually(`${what} flows`, async () => (await load.report()).answered > 20, { deadlineMs: 30_000 });
  await kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=3']);
  await waitRollout(namespace, 'web');
  const grown = Date.now();
  const meshed = ['one gRPC channel', 'one HTTP/1.1 connection'];
  for (const what of meshed)
    await eventually(
      `${what} reaches three replicas`,
      async () => {
        const report = await running[what]?.report();
        return report !== undefined && Object.values(report.byBackend).filter(({ count }) => count > 20).length === 3;
      },
      { deadlineMs: 60_000, everyMs: 200 },
    );
  console.log(`three replicas have twenty requests each ${Date.now() - grown} ms after the rollout`);
  const reports = new Map<string, LoadReport>();
  for (const [what, load] of Object.entries(running)) reports.set(what, evidence(what, await load.stop()));
  for (const [what, report] of reports) expect(report.failed, `${what}: ${JSON.stringify(report.errors)}`).toBe(0);
  const spread = meshed.map(what => reports.get(what)).filter(report => report !== undefined);
  expect(spread.map(report => [report.connections, backends(report)])).toEqual([
    [1, 3],
    [1, 3],
  ]);
  // The others stay with one replica for each connection that they had to make.
  for (const [what, report] of reports) {
    const most = meshed.includes(what) ? 3 : what === 'six WebSockets' ? 1 : report.connections;
    expect(backends(report), what).toBeLessThanOrEqual(most);
  }
});

/** Opens WebSockets one after the other and keeps them; adds each to `open`, and resolves with how many of them each pod has got. */
async function openWebSockets(
  target: string,
  count: number,
  open: RunningLoad[],
): Promise<Readonly<Record<string, number>>> {
  const got: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const load = await startLoad(namespace, 'client', {
      ...long,
      protocol: 'websocket',
      target: `ws://${target}/websocket`,
      connections: 1,
      rate: 2,
    });
    open.push(load);
    const { byBackend } = await eventually('the WebSocket is answered', async () => {
      const report = await load.report();
      return report.answered > 0 && report;
    });
    for (const pod of Object.keys(byBackend)) got[pod] = (got[pod] ?? 0) + 1;
  }
  return got;
}

// By turns it is a matter of what was opened; by what each has in hand, of what stands.
it.each([
  ['PeakEWMA', { old: 0, new: 6 }],
  ['RoundRobin', { old: 3, new: 3 }],
] as const)(
  'six WebSockets beside six that stand on the only replica before there were two: %s',
  async (algorithm, want) => {
    const name = `chat-${algorithm.toLowerCase()}`;
    await apply(service(namespace, name), ...serverApp({ namespace, name, says: '$(POD_NAME)', container: { env } }));
    await waitRollout(namespace, name);
    // A new replica gets its share at once.
    await putPolicy(namespace, name, { loadBalancing: { algorithm, slowStart: '0s' } });
    const open: RunningLoad[] = [];
    try {
      const before = await openWebSockets(name, 6, open);
      expect(Object.values(before)).toEqual([6]);
      const [only = ''] = Object.keys(before);
      await kubectl(['scale', `deployment/${name}`, '-n', namespace, '--replicas=2']);
      await waitRollout(namespace, name);
      const client = await podIp(namespace, 'client');
      const labels = { name: `endpoints/${namespace}/${name}:80`, endpoint_state: 'ready' };
      await eventually(
        'the client knows both',
        async () => sumOf(await weftMetrics(client), 'outbound_http_balancer_endpoints', labels) === 2,
        { deadlineMs: 60_000 },
      );
      const after = await openWebSockets(name, 6, open);
      const { [only]: old = 0, ...others } = after;
      expect({ old, new: Object.values(others).reduce((sum, count) => sum + count, 0) }).toEqual(want);
      // Those that stand stay where they are, and all go on.
      for (const load of open) {
        const report = await load.stop();
        expect([report.failed, backends(report), report.connections]).toEqual([0, 1, 1]);
      }
      open.length = 0;
    } finally {
      await Promise.all(open.map(load => load.stop()));
    }
  },
);
