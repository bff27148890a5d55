/** Thrown by `eventually`; its message holds what was waited for and what was seen last. */
export class DeadlineError extends Error {}

/**
 * Calls `probe` until it neither throws nor returns false; resolves with its value.
 * `deadlineMs` is about ten times the target of what is awaited: these machines share two cores.
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | false>,
  { deadlineMs = 10_000, everyMs = 50 }: { deadlineMs?: number; everyMs?: number } = {},
): Promise<T> {
  const started = performance.now();
  let last: unknown = 'nothing';
  for (;;) {
    try {
      const value = await probe();
      if (value !== false) return value;
      last = 'false';
    } catch (error) {
      last = error;
    }
    if (performance.now() - started > deadlineMs) {
      const seen = last instanceof Error ? last.message : String(last);
      throw new DeadlineError(`not within ${deadlineMs} ms: ${what}; last seen: ${seen}`);
    }
    await new Promise(resolve => setTimeout(resolve, everyMs));
  }
}
