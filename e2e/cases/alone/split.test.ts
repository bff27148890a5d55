import { describe, expect, it } from 'vitest';
import {
  apply,
  eventually,
  getObject,
  type LoadReport,
  runLoad,
  startLoad,
  trafficSplit,
  twoVersions,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../../harness/index.ts';

type Weights = Readonly<Record<string, number | string>>;

async function start(namespace: string): Promise<void> {
  await apply(...twoVersions(namespace));
  await Promise.all(['web-v1', 'web-v2', 'client'].map(name => waitRollout(namespace, name)));
  for (const version of ['web', 'web-v1', 'web-v2']) await waitAnswered(namespace, 'client', `http://${version}/`);
}

const programmed = async (namespace: string): Promise<true | false> => {
  const split = await getObject<{
    metadata: { generation: number };
    status?: { conditions?: { type: string; status: string; observedGeneration: number }[] };
  }>('trafficsplit.split.smi-spec.io', 'web', namespace);
  const condition = split.status?.conditions?.find(({ type }) => type === 'Programmed');
  return condition?.status === 'True' && condition.observedGeneration === split.metadata.generation;
};

const share = (report: LoadReport, backend: string): number => (report.byBackend[backend]?.count ?? 0) / report.sent;

// 6,000 draws at 10 %: the standard deviation is 0.39 %, so 2 % is more than five of them; a false alarm is rarer than one in a million.
describe.each([
  { protocol: 'http1', target: 'http://web/' },
  { protocol: 'grpc', target: 'web:9090' },
] as const)('a TrafficSplit over $protocol', ({ protocol, target }) => {
  it('divides 6,000 requests 90 to 10', async () => {
    await withNamespace(`split-${protocol}`, async ({ name }) => {
      await start(name);
      await apply(trafficSplit(name, { 'web-v1': 90, 'web-v2': 10 }));
      const warm = await runLoad(name, 'client', { protocol, target, count: 20, concurrency: 4, durationMs: 20_000 });
      expect(warm.failed, JSON.stringify(warm.errors)).toBe(0);
      await eventually('the split is Programmed', () => programmed(name), { deadlineMs: 30_000 });
      const report = await runLoad(name, 'client', {
        protocol,
        target,
        count: 6_000,
        concurrency: 16,
        durationMs: 120_000,
      });
      expect(report).toMatchObject({ sent: 6_000, answered: 6_000, failed: 0 });
      expect(share(report, 'v2')).toBeGreaterThan(0.08);
      expect(share(report, 'v2')).toBeLessThan(0.12);
    });
  });
});

const underLoad = [
  { protocol: 'http1', target: 'http://web/' },
  { protocol: 'grpc', target: 'web:9090' },
  // A connection a line.
  { protocol: 'tcp', target: 'web:7000' },
] as const;

describe.each(underLoad)('a TrafficSplit that changes under load over $protocol', ({ protocol, target }) => {
  it('leaves the old backend without one request past the deadline', async () => {
    await withNamespace(`flip-${protocol}`, async ({ name }) => {
      await start(name);
      await apply(trafficSplit(name, { 'web-v1': 100, 'web-v2': 0 }));
      const load = await startLoad(name, 'client', { protocol, target, rate: 200, durationMs: 60_000 });
      await eventually(
        'v1 alone answers',
        async () => {
          const report = await load.report();
          return report.answered > 400 && Date.now() - (report.byBackend['v2']?.lastSentMs ?? 0) > 1_000;
        },
        { deadlineMs: 20_000 },
      );
      await apply(trafficSplit(name, { 'web-v1': 0, 'web-v2': 100 }));
      const appliedMs = Date.now();
      await new Promise(resolve => setTimeout(resolve, 3_000));
      const report = await load.stop();
      expect(report.failed, JSON.stringify(report.errors)).toBe(0);
      expect(report.sent).toBe(report.answered);
      // The target is 50 ms from the write; the deadline is ten times that.
      expect((report.byBackend['v1']?.lastSentMs ?? 0) - appliedMs).toBeLessThan(500);
      expect(report.byBackend['v2']?.count).toBeGreaterThan(300);
    });
  });

  it('answers every request while it changes twenty times', async () => {
    await withNamespace(`split-churn-${protocol}`, async ({ name }) => {
      await start(name);
      await apply(trafficSplit(name, { 'web-v1': 50, 'web-v2': 50 }));
      const load = await startLoad(name, 'client', { protocol, target, rate: 200, durationMs: 90_000 });
      for (let change = 0; change < 20; change++) {
        const weight = (change * 37) % 101;
        await apply(trafficSplit(name, { 'web-v1': weight, 'web-v2': 100 - weight }));
      }
      await new Promise(resolve => setTimeout(resolve, 1_000));
      const report = await load.stop();
      expect(report.failed, JSON.stringify(report.errors)).toBe(0);
      expect(report.sent).toBe(report.answered);
      expect(report.sent).toBeGreaterThan(500);
      expect(report.byBackend['v1']?.count).toBeGreaterThan(0);
      expect(report.byBackend['v2']?.count).toBeGreaterThan(0);
    });
  });
});

describe('a TrafficSplit over bytes', () => {
  it('divides connections, and a connection stays where it is', async () => {
    await withNamespace('split-tcp', async ({ name }) => {
      await start(name);
      await apply(trafficSplit(name, { 'web-v1': 80, 'web-v2': 20 }));
      const warm = await runLoad(name, 'client', {
        protocol: 'tcp',
        target: 'web:7000',
        count: 20,
        concurrency: 4,
        durationMs: 20_000,
      });
      expect(warm.failed, JSON.stringify(warm.errors)).toBe(0);
      await eventually('the split is Programmed', () => programmed(name), { deadlineMs: 30_000 });
      const report = await runLoad(name, 'client', {
        protocol: 'tcp',
        target: 'web:7000',
        count: 2_000,
        concurrency: 8,
        durationMs: 90_000,
      });
      expect(report).toMatchObject({ sent: 2_000, failed: 0 });
      // 2,000 draws at 20 %: five standard deviations are 4.5 %.
      expect(share(report, 'v2')).toBeGreaterThan(0.155);
      expect(share(report, 'v2')).toBeLessThan(0.245);
      const held = await runLoad(name, 'client', {
        protocol: 'tcp-hold',
        target: 'web:7000',
        count: 200,
        concurrency: 1,
        durationMs: 30_000,
      });
      expect(held).toMatchObject({ sent: 200, failed: 0 });
      expect(Object.keys(held.byBackend)).toHaveLength(1);
    });
  });
});

describe('every served version of TrafficSplit', () => {
  it('is enforced as its clients write it, and read back by each of the others', async () => {
    await withNamespace('split-versions', async ({ name }) => {
      await start(name);
      const forms: readonly (readonly [string, Weights])[] = [
        ['v1alpha1', { 'web-v1': '0', 'web-v2': '1' }],
        ['v1alpha1', { 'web-v1': '500m', 'web-v2': '0' }],
        ['v1alpha2', { 'web-v1': 0, 'web-v2': 100 }],
        ['v1alpha3', { 'web-v1': 100, 'web-v2': 0 }],
        ['v1alpha4', { 'web-v1': 0, 'web-v2': 100 }],
      ];
      for (const [version, weights] of forms) {
        await apply(trafficSplit(name, weights, version));
        const wanted =
          Object.entries(weights)
            .find(([, weight]) => weight !== 0 && weight !== '0')?.[0]
            ?.replace('web-', '') ?? '';
        await eventually(`${version} is in force`, async () => {
          const report = await runLoad(name, 'client', {
            protocol: 'http1',
            target: 'http://web/',
            count: 20,
            concurrency: 2,
            durationMs: 10_000,
          });
          return report.byBackend[wanted]?.count === 20;
        });
        for (const reader of ['v1alpha1', 'v1alpha2', 'v1alpha3', 'v1alpha4']) {
          const read = await getObject<{ spec: { backends: { weight: unknown }[] } }>(
            `trafficsplits.${reader}.split.smi-spec.io`,
            'web',
            name,
          );
          // Typed clients of v1alpha2 and later read integers, so that is what is stored whatever the writer's version was.
          expect(
            read.spec.backends.map(({ weight }) => Number.isInteger(weight)),
            `${version} read as ${reader}`,
          ).toEqual([true, true]);
        }
      }
    });
  });
});
