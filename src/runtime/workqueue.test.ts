import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refuseLeakedTimers } from './leaked-timers.ts';
import { createWorkqueue, type Workqueue } from './workqueue.ts';

const never = new AbortController().signal;

function aQueue(onDepth?: (depth: number) => void): Workqueue {
  // random = 1 - epsilon draws the ceiling of every delay, so the doubling is visible.
  const backoff = { baseMs: 100, maxMs: 1000, random: () => 0.999999 };
  return createWorkqueue(onDepth === undefined ? { backoff } : { backoff, onDepth });
}

/** Everything that can be taken right now, without marking anything done. */
async function drain(queue: Workqueue): Promise<string[]> {
  const taken: string[] = [];
  while (queue.depth > 0) taken.push((await queue.get(never)) ?? 'closed');
  return taken;
}

describe('workqueue', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    refuseLeakedTimers(vi.getTimerCount());
    vi.useRealTimers();
  });

  it('hands out a key once however often it was added', async () => {
    const queue = aQueue();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(await drain(queue)).toEqual(['a', 'b']);
  });

  it('hands a key to a getter that was already waiting', async () => {
    const queue = aQueue();
    const waiting = queue.get(never);
    queue.add('a');
    expect(await waiting).toBe('a');
  });

  it('never hands out a key that is being worked on, and runs it once more after done', async () => {
    const queue = aQueue();
    queue.add('a');
    expect(await queue.get(never)).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(await drain(queue)).toEqual(['a']);
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  it('hands out low keys only when no normal key waits, and lifts a low key that is added as normal', async () => {
    const queue = aQueue();
    queue.add('low-1', 'low');
    queue.add('low-2', 'low');
    queue.add('normal');
    queue.add('low-2');
    expect(await drain(queue)).toEqual(['normal', 'low-2', 'low-1']);
  });

  it('does not lower a normal key that is added again as low', async () => {
    const queue = aQueue();
    queue.add('a');
    queue.add('b', 'low');
    queue.add('a', 'low');
    expect(await drain(queue)).toEqual(['a', 'b']);
  });

  it('keeps the earliest of several delays', async () => {
    const queue = aQueue();
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    await vi.advanceTimersByTimeAsync(99);
    expect(queue.depth).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(await drain(queue)).toEqual(['a']);
  });

  it('drops a delay when the key is added for now', async () => {
    const queue = aQueue();
    queue.addAfter('a', 100);
    queue.add('a');
    expect(await drain(queue)).toEqual(['a']);
    queue.done('a');
    await vi.advanceTimersByTimeAsync(1000);
    expect(queue.depth).toBe(0);
  });

  it('doubles the delay of a rate-limited key up to the maximum, and starts again after forget', () => {
    const queue = aQueue();
    const delays = Array.from({ length: 6 }, () => queue.addRateLimited('a'));
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000]);
    queue.forget('a');
    expect(queue.addRateLimited('a')).toBe(100);
    queue.close();
  });

  it('answers undefined to a getter whose signal aborts, and keeps the key for the next one', async () => {
    const queue = aQueue();
    const abort = new AbortController();
    const waiting = queue.get(abort.signal);
    abort.abort();
    expect(await waiting).toBeUndefined();
    queue.add('a');
    expect(await queue.get(never)).toBe('a');
  });

  it('wakes every getter and owns no timer after close', async () => {
    const queue = aQueue();
    const waiting = [queue.get(never), queue.get(never)];
    queue.addAfter('a', 100);
    queue.close();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
    queue.add('b');
    expect(await queue.get(never)).toBeUndefined();
  });

  it('reports the number of waiting keys', async () => {
    const depths: number[] = [];
    const queue = aQueue(depth => void depths.push(depth));
    queue.add('a');
    queue.add('b');
    await queue.get(never);
    expect(depths).toEqual([1, 2, 1]);
  });
});
