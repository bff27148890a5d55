import { afterAll, describe, expect, it } from 'vitest';
import { component } from '../../cluster/index.ts';
import {
  apply,
  clusterName,
  eventually,
  killOperator,
  kubectl,
  type LoadReport,
  runLoad,
  startLoad,
  trafficSplit,
  twoVersions,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../../harness/index.ts';

async function underLoad(
  namespace: string,
  fault: (appliedWeights: (v1: number, v2: number) => Promise<void>) => Promise<void>,
): Promise<LoadReport> {
  await apply(...twoVersions(namespace), trafficSplit(namespace, { 'web-v1': 100, 'web-v2': 0 }));
  await Promise.all(['web-v1', 'web-v2', 'client'].map(name => waitRollout(namespace, name)));
  await eventually('v1 alone answers', async () => {
    const report = await runLoad(namespace, 'client', {
      protocol: 'http1',
      target: 'http://web/',
      count: 20,
      concurrency: 2,
      durationMs: 10_000,
    });
    return report.byBackend['v1']?.count === 20;
  });
  const load = await startLoad(namespace, 'client', {
    protocol: 'http1',
    target: 'http://web/',
    rate: 200,
    durationMs: 240_000,
  });
  await fault(async (v1, v2) => await apply(trafficSplit(namespace, { 'web-v1': v1, 'web-v2': v2 })));
  return await load.stop();
}

afterAll(async () => {
  await component(clusterName, 'kube-apiserver').start();
  // Kubernetes' own controllers come back with backoffs of up to half a minute: the next file is to find a node that works.
  await withNamespace('settled', async ({ name }) => {
    await apply(...twoVersions(name));
    await Promise.all(['web-v1', 'web-v2', 'client'].map(app => waitRollout(name, app)));
    await waitAnswered(name, 'client');
  });
});

describe('an operator that dies under load', () => {
  it('costs no request, weights stay enforced, and what was applied meanwhile is enforced afterwards', async () => {
    await withNamespace('operator-killed', async ({ name }) => {
      let movedMs = 0;
      const report = await underLoad(name, async move => {
        await killOperator();
        // While it is away: the old weights hold, and a change waits.
        await move(0, 100);
        await waitRollout('weft-system', 'weft-operator');
        await eventually(
          'the change is in force',
          async () => {
            const seen = await runLoad(name, 'client', {
              protocol: 'http1',
              target: 'http://web/',
              count: 20,
              concurrency: 2,
              durationMs: 10_000,
            });
            return seen.byBackend['v2']?.count === 20;
          },
          { deadlineMs: 120_000 },
        );
        movedMs = Date.now();
        await killOperator();
        await new Promise(resolve => setTimeout(resolve, 3_000));
      });
      expect(report.failed, JSON.stringify(report.errors)).toBe(0);
      expect(report.sent).toBe(report.answered);
      expect(report.byBackend['v1']?.lastSentMs).toBeLessThan(movedMs);
      expect(report.byBackend['v2']?.lastSentMs).toBeGreaterThan(movedMs + 1_000);
      await waitRollout('weft-system', 'weft-operator');
    });
  });
});

describe('an API server that is away for 30 s', () => {
  it('costs no request, weights stay enforced, and the next change is enforced', async () => {
    await withNamespace('apiserver-away', async ({ name }) => {
      let stoppedMs = 0;
      let startedMs = 0;
      const report = await underLoad(name, async move => {
        await component(clusterName, 'kube-apiserver').stop();
        stoppedMs = Date.now();
        await new Promise(resolve => setTimeout(resolve, 30_000));
        await component(clusterName, 'kube-apiserver').start();
        startedMs = Date.now();
        await eventually('the API server answers', async () => (await kubectl(['get', '--raw', '/readyz'])) === 'ok', {
          deadlineMs: 60_000,
          everyMs: 250,
        });
        await move(0, 100);
        await eventually(
          'the change is in force',
          async () => {
            const seen = await runLoad(name, 'client', {
              protocol: 'http1',
              target: 'http://web/',
              count: 20,
              concurrency: 2,
              durationMs: 10_000,
            });
            return seen.byBackend['v2']?.count === 20;
          },
          { deadlineMs: 120_000 },
        );
      });
      expect(report.failed, JSON.stringify(report.errors)).toBe(0);
      expect(report.sent).toBe(report.answered);
      expect(report.byBackend['v1']?.lastSentMs).toBeGreaterThan(stoppedMs + 20_000);
      expect(report.byBackend['v2']?.firstSentMs).toBeGreaterThan(startedMs);
    });
  });
});
