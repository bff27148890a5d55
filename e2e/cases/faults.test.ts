import { beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  applyError,
  clientPod,
  countOf,
  eventually,
  evidence,
  fileNamespace,
  kubectl,
  type LoadReport,
  putPolicy,
  runLoad,
  serverApp,
  service,
  tell,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';

const namespace = fileNamespace('faults');
/** What the fault answers, so that nothing else is taken for it. */
const FAULT = '418';

async function requests(app: string, count: number): Promise<LoadReport> {
  const spec = { protocol: 'http1', target: 'http://web/', concurrency: 4, count, durationMs: 60_000 } as const;
  return await runLoad(namespace, app, spec);
}

async function load(what: string, app = 'client', count = 200): Promise<LoadReport> {
  return evidence(what, await requests(app, count));
}

const after = (ms: number): string => new Date(Date.now() + ms).toISOString();
const fault = (fields: object = {}): object => ({
  name: 'some',
  percent: 50,
  abort: { status: Number(FAULT) },
  until: after(600_000),
  ...fields,
});
const put = async (...faults: readonly object[]): Promise<void> => await putPolicy(namespace, 'web', { faults });

beforeAll(async () => {
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...['client', 'other'].flatMap(name => clientPod({ namespace, name })),
  );
  await Promise.all(['web', 'client', 'other'].map(app => waitRollout(namespace, app)));
  await Promise.all(['client', 'other'].map(app => waitAnswered(namespace, app)));
});

describe('a fault', () => {
  it('has an end, or it is refused', async () => {
    const policy = (faults: readonly object[]) => ({
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'TrafficPolicy',
      metadata: { name: 'endless', namespace },
      spec: { targetRef: { name: 'web' }, faults },
    });
    const endless = { name: 'endless', abort: {} };
    expect(await applyError(policy([endless]))).toMatch(/spec\.faults\[0\]\.until/);
    expect(await applyError(policy([{ ...endless, until: 'some day' }]))).toMatch(/spec\.faults\[0\]\.until/);
    expect(await applyError(policy([{ ...endless, until: after(-1_000) }]))).toBeUndefined();
    const past = await load('an end in the past');
    expect(past.failed).toBe(0);
    await kubectl(['delete', 'trafficpolicy', 'endless', '-n', namespace]);
  });

  it('ends at its end, with nobody doing anything', async () => {
    await put(fault({ percent: 100, until: after(15_000) }));
    const before = await load('before its end', 'client', 40);
    expect(countOf(before, FAULT)).toBe(40);
    await eventually('it is over', async () => (await requests('client', 4)).failed === 0, {
      deadlineMs: 60_000,
      everyMs: 500,
    });
    expect((await load('after its end', 'client', 40)).failed).toBe(0);
  });

  it('stops at a caller whose requests fail, stays away there, and goes on elsewhere', async () => {
    await put(fault({ successFloorPercent: 80 }));
    for (const app of ['client', 'other']) {
      // Its own answers are no failures of the server, so they do not stop it: 100 are expected, and six standard deviations allowed.
      const report = await load(`all well, seen by ${app}`, app);
      expect(countOf(report, FAULT)).toBeGreaterThan(57);
      expect(countOf(report, FAULT)).toBeLessThan(143);
      expect(report.failed).toBe(countOf(report, FAULT));
    }
    await tell(namespace, 'web', '/answers/500/0');
    const failing = await load('the server fails, seen by client', 'client', 400);
    expect(countOf(failing, '500')).toBeGreaterThan(300);
    await tell(namespace, 'web', '/answers/200/0');
    const stopped = await load('the server is well again, seen by client', 'client', 400);
    expect(stopped.failed).toBe(0);
    const elsewhere = await load('the server is well again, seen by other', 'other');
    expect(countOf(elsewhere, FAULT)).toBeGreaterThan(57);
  });

  it('goes on through failures of the server where it has no floor', async () => {
    await put(fault());
    await tell(namespace, 'web', '/answers/500/0');
    await load('the server fails, no floor', 'client', 400);
    await tell(namespace, 'web', '/answers/200/0');
    const report = await load('the server is well again, no floor');
    expect(countOf(report, FAULT)).toBeGreaterThan(57);
  });
});
