import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refuseLeakedTimers } from './leaked-timers.ts';
import { recordingLogger } from './recording.ts';
import { createShutdown } from './shutdown.ts';
import { sleep } from './sleep.ts';

function setUp() {
  const log = recordingLogger();
  return { log, shutdown: createShutdown({ clock: { nowMs: () => Date.now() }, log, deadlineMs: 1000 }) };
}

describe('shutdown', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    refuseLeakedTimers(vi.getTimerCount());
    vi.useRealTimers();
  });

  it('aborts its signal first, then runs the steps last registered first', async () => {
    const { shutdown } = setUp();
    const order: string[] = [];
    shutdown.signal.addEventListener('abort', () => order.push('signal'));
    shutdown.onStop('stores', () => void order.push('stores'));
    shutdown.onStop('server', async () => {
      await sleep(10, new AbortController().signal);
      order.push('server');
    });
    const stopped = shutdown.stop('test');
    await vi.advanceTimersByTimeAsync(10);
    expect(await stopped).toEqual([]);
    expect(order).toEqual(['signal', 'server', 'stores']);
  });

  it('leaves a step behind at the deadline, names it and still runs the others', async () => {
    const { shutdown, log } = setUp();
    const order: string[] = [];
    shutdown.onStop('last', () => void order.push('last'));
    shutdown.onStop('hangs', () => new Promise(() => {}));
    const stopped = shutdown.stop('test');
    await vi.advanceTimersByTimeAsync(1010);
    expect(await stopped).toEqual(['hangs']);
    expect(order).toEqual(['last']);
    expect(log.lines.at(-1)).toMatchObject({ message: 'shutdown complete', fields: { unclean: ['hangs'] } });
  });

  it('goes on after a step that throws', async () => {
    const { shutdown } = setUp();
    const order: string[] = [];
    shutdown.onStop('last', () => void order.push('last'));
    shutdown.onStop('throws', () => Promise.reject(new Error('boom')));
    expect(await shutdown.stop('test')).toEqual(['throws']);
    expect(order).toEqual(['last']);
  });

  it('stops once, whoever asks', async () => {
    const { shutdown } = setUp();
    let runs = 0;
    shutdown.onStop('a', () => void runs++);
    await Promise.all([shutdown.stop('one'), shutdown.stop('two')]);
    expect(runs).toBe(1);
  });
});
