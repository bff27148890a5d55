import { expect, it } from 'vitest';
import {
  apply,
  clientPod,
  eventually,
  kubectl,
  type LoadReport,
  serverApp,
  service,
  startLoad,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../../harness/index.ts';

/** Restarts `app` under 500 requests per second, half HTTP/1.1 over kept connections, half gRPC. */
async function restarted(namespace: string, app: string): Promise<LoadReport> {
  const spec = { rate: 250, durationMs: 120_000, concurrency: 16 };
  const loads = await Promise.all([
    startLoad(namespace, 'client', { ...spec, protocol: 'http1', target: `http://${app}/`, connections: 16 }),
    startLoad(namespace, 'client', { ...spec, protocol: 'grpc', target: `${app}:9090`, connections: 2 }),
  ]);
  for (const load of loads)
    await eventually('traffic flows', async () => (await load.report()).answered > 250, { deadlineMs: 60_000 });
  await kubectl(['rollout', 'restart', `deployment/${app}`, '-n', namespace]);
  await waitRollout(namespace, app);
  // The last of the old pods are still ending.
  await new Promise(resolve => setTimeout(resolve, 6_000));
  const [first, second] = await Promise.all(loads.map(load => load.stop()));
  if (first === undefined || second === undefined) throw new Error('two runs were started');
  const both = {
    ...first,
    sent: first.sent + second.sent,
    answered: first.answered + second.answered,
    failed: first.failed + second.failed,
    errors: { ...first.errors, ...second.errors },
  };
  console.log(
    `${app}: ${both.failed} of ${both.sent} requests failed ${JSON.stringify([first.errors, second.errors])}`,
  );
  return both;
}

// Three ways in which applications end, from the best to the worst. `lingers` goes on for a while after SIGTERM, as a preStop hook with a pause makes
// any program do; `shuts-down` closes its listeners at once and finishes what is in flight, as most servers do by themselves; `abrupt` just ends.
const applications = [
  { name: 'lingers', args: ['--linger', '3s'], loses: 0 },
  { name: 'shuts-down', args: [], loses: 0.02 },
  { name: 'abrupt', args: ['--abrupt'], loses: 0.05 },
] as const;

it('a rolling restart at 500 requests per second loses nothing of applications that drain; what others lose is counted', async () => {
  await withNamespace('rollout', async ({ name }) => {
    await apply(
      ...applications.flatMap(({ name: app, args }) => [
        service(name, app),
        ...serverApp({ namespace: name, name: app, replicas: 2, args }),
      ]),
      ...clientPod({ namespace: name, name: 'client' }),
    );
    await Promise.all([...applications.map(app => app.name), 'client'].map(app => waitRollout(name, app)));
    for (const { name: app, loses } of applications) {
      await waitAnswered(name, 'client', `http://${app}/`);
      const report = await restarted(name, app);
      expect(report.sent).toBeGreaterThan(2_500);
      expect(report.failed, JSON.stringify(report.errors)).toBeLessThanOrEqual(report.sent * loses);
    }
  });
});
