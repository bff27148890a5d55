// Coalesces calls for work on the whole state: the first call after a quiet time runs at once, calls that follow within
// the window share one run at its end. Runs never overlap.

export interface Coalescer {
  request(): void;
  /** Resolves when nothing is running or waiting. */
  idle(): Promise<void>;
  close(): void;
}

export interface CoalescerOptions {
  readonly windowMs: number;
  /** Must not throw; synchronous, so that two runs cannot overlap. */
  readonly run: () => void;
}

export function createCoalescer({ windowMs, run }: CoalescerOptions): Coalescer {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let immediate = false;
  let requested = false;
  let closed = false;
  let idleWaiters: (() => void)[] = [];

  function settleIdle(): void {
    if (timer !== undefined || immediate) return;
    const waiting = idleWaiters;
    idleWaiters = [];
    for (const resolve of waiting) resolve();
  }

  function runNow(): void {
    immediate = false;
    if (closed) return settleIdle();
    requested = false;
    timer = setTimeout(() => {
      timer = undefined;
      if (requested) runNow();
      else settleIdle();
    }, windowMs);
    timer.unref();
    run();
  }

  return {
    request: () => {
      if (closed) return;
      requested = true;
      if (timer !== undefined || immediate) return;
      // A microtask later: events that arrive in one chunk of a watch are part of the same run.
      immediate = true;
      queueMicrotask(runNow);
    },
    idle: () =>
      timer === undefined && !immediate ? Promise.resolve() : new Promise(resolve => idleWaiters.push(resolve)),
    close: () => {
      closed = true;
      clearTimeout(timer);
      timer = undefined;
      settleIdle();
    },
  };
}
