import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refuseLeakedTimers } from './leaked-timers.ts';
import { createCoalescer } from './coalesce.ts';

function setUp() {
  const at: number[] = [];
  const start = Date.now();
  const coalescer = createCoalescer({ windowMs: 20, run: () => void at.push(Date.now() - start) });
  return { at, coalescer };
}

describe('coalescer', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    refuseLeakedTimers(vi.getTimerCount());
    vi.useRealTimers();
  });

  it('runs at once after a quiet time and shares one run among requests of the same turn', async () => {
    const { at, coalescer } = setUp();
    coalescer.request();
    coalescer.request();
    await vi.advanceTimersByTimeAsync(100);
    coalescer.request();
    await vi.advanceTimersByTimeAsync(100);
    expect(at).toEqual([0, 100]);
  });

  it('runs once per window while requests keep coming, and once after the last', async () => {
    const { at, coalescer } = setUp();
    for (let ms = 0; ms < 50; ms += 5) {
      coalescer.request();
      await vi.advanceTimersByTimeAsync(5);
    }
    await vi.advanceTimersByTimeAsync(100);
    expect(at).toEqual([0, 20, 40, 60]);
  });

  it('takes a request that is made during a run', async () => {
    const runs: number[] = [];
    const coalescer = createCoalescer({
      windowMs: 20,
      run: () => {
        runs.push(runs.length);
        if (runs.length === 1) coalescer.request();
      },
    });
    coalescer.request();
    await vi.advanceTimersByTimeAsync(100);
    expect(runs).toEqual([0, 1]);
  });

  it('is idle only when nothing waits, and runs nothing after close', async () => {
    const { at, coalescer } = setUp();
    coalescer.request();
    await vi.advanceTimersByTimeAsync(0);
    let idle = false;
    void coalescer.idle().then(() => {
      idle = true;
    });
    await vi.advanceTimersByTimeAsync(19);
    expect(idle).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(idle).toBe(true);
    coalescer.request();
    coalescer.close();
    await vi.advanceTimersByTimeAsync(100);
    expect(at).toEqual([0]);
  });
});
