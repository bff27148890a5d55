// In which order pods are upgraded: some at a time, never two of one workload, and none any more once one has failed.
import type { ProxyPod } from './pod.ts';

export interface RoundsOptions {
  readonly pods: readonly ProxyPod[];
  /** How many at a time. */
  readonly atOnce: number;
  /** Resolves with false to stop; those under way are still waited for. */
  readonly act: (pod: ProxyPod) => Promise<boolean>;
}

/** Resolves with the pods that were not begun. */
export async function inRounds({ pods, atOnce, act }: RoundsOptions): Promise<readonly ProxyPod[]> {
  const waiting = [...pods];
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  const begin = (pod: ProxyPod): void => {
    const key = pod.owner || pod.uid;
    busy.add(key);
    const task = act(pod)
      .then(goOn => {
        if (!goOn) stop.abort();
      })
      .finally(() => {
        busy.delete(key);
        running.delete(task);
      });
    running.add(task);
  };
  while (!stop.signal.aborted && waiting.length > 0) {
    const next = running.size < atOnce ? waiting.findIndex(pod => !busy.has(pod.owner || pod.uid)) : -1;
    const [pod] = next < 0 ? [] : waiting.splice(next, 1);
    if (pod === undefined) await Promise.race(running);
    else begin(pod);
  }
  await Promise.all(running);
  return waiting;
}
