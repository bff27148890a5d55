// A guard for tests with fake timers: whatever a test leaves running is a defect.

/** Throws when fake timers are still pending. Call it in afterEach with vitest's `vi.getTimerCount()`. */
export function refuseLeakedTimers(count: number): void {
  if (count > 0) throw new Error(`${count} timer(s) left running by the test`);
}
