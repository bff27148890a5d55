import type { Report } from './down.ts';

/** Runs a step of bringing something up and reports what it took. */
export type Step = <T>(label: string, task: () => Promise<T>) => Promise<T>;

export function stepsReportedTo(report: Report): Step {
  return async (label, task) => {
    const startedMs = performance.now();
    const result = await task();
    report(`${label}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    return result;
  };
}
