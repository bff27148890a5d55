import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refuseLeakedTimers } from './leaked-timers.ts';
import { createController, done, type Reconcile, requeueAfter } from './controller.ts';
import { recordingLogger, recordingMetrics } from './recording.ts';

function setUp(reconcile: Reconcile, workers = 1) {
  const log = recordingLogger();
  const metrics = recordingMetrics();
  const controller = createController({
    name: 'test',
    reconcile,
    clock: { nowMs: () => Date.now() },
    log,
    metrics,
    random: () => 0.999999,
    workers,
    retryBaseMs: 100,
    retryMaxMs: 1000,
  });
  const stop = new AbortController();
  const running = controller.run(stop.signal);
  const results = (result: string): number => metrics.value('weft_reconcile_total', { controller: 'test', result });
  return {
    controller,
    log,
    metrics,
    results,
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

describe('controller', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    refuseLeakedTimers(vi.getTimerCount());
    vi.useRealTimers();
  });

  it('is as lively as its longest run, and as now when there is nothing to do', async () => {
    const hung = Promise.withResolvers<typeof done>();
    const test = setUp(key => (key === 'hangs' ? hung.promise : Promise.resolve(done)), 2);
    const startMs = Date.now();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(test.controller.health().lastActivityMs).toBe(startMs + 1_000);
    test.controller.enqueue('hangs');
    await vi.advanceTimersByTimeAsync(1_000);
    // Work on other keys hides nothing.
    test.controller.enqueue('fine');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(test.results('done')).toBe(1);
    expect(test.controller.health().lastActivityMs).toBe(startMs + 1_000);
    hung.resolve(done);
    await vi.advanceTimersByTimeAsync(0);
    expect(test.controller.health().lastActivityMs).toBe(startMs + 3_000);
    await test.stop();
  });

  it('runs a key once for a burst of events and counts one result', async () => {
    const runs: string[] = [];
    const test = setUp(async key => {
      runs.push(key);
      return done;
    });
    test.controller.enqueue('a', 'low');
    test.controller.enqueue('b');
    test.controller.enqueue('b');
    await vi.advanceTimersByTimeAsync(0);
    await test.stop();
    expect(runs).toEqual(['a', 'b']);
    expect(test.results('done')).toBe(2);
    expect(test.metrics.value('weft_workqueue_adds_total', { controller: 'test' })).toBe(3);
  });

  it('never runs two instances of one key at once, though it has workers to spare', async () => {
    let running = 0;
    let most = 0;
    let runs = 0;
    const test = setUp(async () => {
      running++;
      runs++;
      most = Math.max(most, running);
      await new Promise(resolve => setTimeout(resolve, 10));
      running--;
      return done;
    }, 4);
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(1);
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(50);
    await test.stop();
    expect({ most, runs }).toEqual({ most: 1, runs: 2 });
  });

  it('survives a throw: counts a panic, logs it once and tries again with a growing delay', async () => {
    const at: number[] = [];
    const start = Date.now();
    const test = setUp(async () => {
      at.push(Date.now() - start);
      if (at.length < 3) throw new Error('boom');
      return done;
    });
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(5000);
    await test.stop();
    expect(at).toEqual([0, 100, 300]);
    expect(test.results('panic')).toBe(2);
    expect(test.results('done')).toBe(1);
    expect(test.log.lines.filter(line => line.level === 'warn')).toHaveLength(2);
  });

  it('does not try a terminal failure again', async () => {
    let runs = 0;
    const test = setUp(async () => {
      runs++;
      return { kind: 'terminal', error: new Error('hopeless') };
    });
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(120_000);
    await test.stop();
    expect(runs).toBe(1);
    expect(test.results('terminal')).toBe(1);
  });

  it('treats a conflict as an ordinary retry: no warning, no error in the metrics', async () => {
    let runs = 0;
    const test = setUp(async () => {
      runs++;
      return runs === 1 ? { kind: 'retry', error: new Error('409'), conflict: true } : done;
    });
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(1000);
    await test.stop();
    expect({ conflict: test.results('conflict'), retry: test.results('retry'), done: test.results('done') }).toEqual({
      conflict: 1,
      retry: 0,
      done: 1,
    });
    expect(test.log.lines.filter(line => line.level === 'warn')).toEqual([]);
  });

  it('comes back after the time that a run asked for', async () => {
    const at: number[] = [];
    const start = Date.now();
    const test = setUp(async () => {
      at.push(Date.now() - start);
      return at.length < 3 ? requeueAfter(1000) : done;
    });
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(10_000);
    await test.stop();
    expect(at).toEqual([0, 1000, 2000]);
  });

  it('waits for the run in flight on stop and counts nothing for it', async () => {
    let ended = false;
    const test = setUp(async (_key, { signal }) => {
      await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }));
      ended = true;
      return { kind: 'retry', error: new Error('called off') };
    });
    test.controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(0);
    await test.stop();
    expect(ended).toBe(true);
    expect(test.results('retry')).toBe(0);
  });
});
