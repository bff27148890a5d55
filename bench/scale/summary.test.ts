import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addressOf, markerOf } from './marker.ts';
import { scalePage } from './page.ts';
import { newestScale } from './report.ts';
import { distribution, type PushReading, type ScaleResults } from './results.ts';
import { rows, table } from './summary.ts';

const reading = (subject: PushReading['subject'], round: number, lastMs: number): PushReading => ({
  step: 'weight',
  subject,
  proxies: 2_000,
  round,
  writtenMs: 1,
  firstMs: 2,
  medianMs: 3,
  lastMs,
  ackedMs: lastMs + 10,
  cpuMs: lastMs,
  received: 2_000,
});

function results(lastMs: readonly number[], rssMb: number): ScaleResults {
  return {
    taken: '2026-11-25',
    machine: { cpu: 'a CPU', cpus: 2, kernel: '6.18', load: 0.5 },
    versions: { node: 'v24' },
    size: { services: 1_000, pods: 2_000, proxies: [2_000] },
    pushes: lastMs.flatMap((own, round) => [reading('weft', round, own), reading('floor', round, 50 * (round + 1))]),
    usage: [{ at: '2000 proxies connected', proxies: 2_000, rssMb, heapMb: 90, cpuShare: 0.5, seconds: 1 }],
    storms: [],
    churn: [],
    certified: [],
    injection: [],
  };
}

const row = (of: ScaleResults, what: string) => rows(of).find(candidate => candidate.what.includes(what));

describe('the figures', () => {
  it('are medians of rounds, and ratios are taken within rounds', () => {
    const found = row(results([100, 50, 300], 200), 'weight change');
    // 2, 0.5 and 2 times the floor of the same round.
    expect(found).toMatchObject({ was: '100 ms (50-300)', ratio: '2.00 of 100 ms' });
  });

  it('say of each target whether it holds, and how well', () => {
    const verdicts = (lastMs: number, rssMb: number) => {
      const of = results([lastMs], rssMb);
      return [row(of, 'weight change')?.verdict, row(of, 'operator memory')?.verdict];
    };
    expect(verdicts(80, 250)).toEqual(['holds, stretch too', 'holds, stretch too']);
    expect(verdicts(150, 350)).toEqual(['holds', 'holds']);
    expect(verdicts(151, 351)).toEqual(['MISSED', 'MISSED']);
    expect(scalePage(results([151], 351)).match(/\*\*missed\*\*/g)).toHaveLength(2);
    expect(table(results([151], 351))).toContain('<= 150 ms');
  });

  it('have the percentiles of what was seen', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(distribution(values)).toEqual({ count: 100, p50: 51, p99: 100, max: 100 });
    expect(distribution([])).toEqual({ count: 0, p50: 0, p99: 0, max: 0 });
  });

  it('are what the documentation holds: change the results or the report, then run `node bench/scale/report.ts`', () => {
    const newest = newestScale();
    if (newest === undefined) throw new Error('no results are committed');
    expect(readFileSync(join(import.meta.dirname, '../../docs/scale.md'), 'utf8')).toBe(scalePage(newest));
  });
});

it('the newest write is read from what a proxy was sent', () => {
  const message = Buffer.from(`xx${addressOf(300)}\u0010yy${addressOf(7)}zz10.25.1.1`);
  expect(markerOf(message)).toBe(300);
  expect(markerOf(Buffer.from('10.96.0.1'))).toBeUndefined();
});
