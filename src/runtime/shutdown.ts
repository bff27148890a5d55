// Ordered shutdown: steps run one after another, last registered first, under one deadline for all of them.
import type { Clock, Logger } from './ports.ts';

export interface ShutdownOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** For all steps together. Steps that have not ended by then are named in the log and left behind. */
  readonly deadlineMs: number;
}

/** Must return soon after `signal` aborts, which happens at the deadline. */
export type ShutdownStep = (signal: AbortSignal) => Promise<void> | void;

export interface Shutdown {
  /** Aborts as the first act of stop(): nothing new may start. */
  readonly signal: AbortSignal;
  /** Steps run in reverse order of registration, so what was started last is stopped first. */
  onStop(name: string, step: ShutdownStep): void;
  /** Resolves with the names of steps that failed or ran out of time. Calling again returns the same promise. */
  stop(reason: string): Promise<readonly string[]>;
}

type Outcome = 'ended' | 'failed' | 'late';

export function createShutdown(options: ShutdownOptions): Shutdown {
  const { clock, log, deadlineMs } = options;
  const stopping = new AbortController();
  const steps: { name: string; step: ShutdownStep }[] = [];
  let result: Promise<readonly string[]> | undefined;

  async function runStep(name: string, step: ShutdownStep, deadline: AbortSignal): Promise<Outcome> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<Outcome>(resolve => {
      // One turn later than the abort: a step that needs no waiting still ends in time when the deadline is past.
      const giveUp = (): void => {
        timer = setTimeout(() => resolve('late'), 0);
      };
      if (deadline.aborted) giveUp();
      else deadline.addEventListener('abort', giveUp, { once: true });
    });
    const ended = (async (): Promise<Outcome> => {
      try {
        await step(deadline);
        return 'ended';
      } catch (err) {
        log.error('shutdown step failed', { step: name, err });
        return 'failed';
      }
    })();
    const outcome = await Promise.race([ended, late]);
    clearTimeout(timer);
    return outcome;
  }

  async function run(reason: string): Promise<readonly string[]> {
    const startMs = clock.nowMs();
    log.info('shutting down', { reason });
    stopping.abort(new Error(`shutting down: ${reason}`));
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new Error('shutdown deadline passed')), deadlineMs);
    const unclean: string[] = [];
    for (const { name, step } of steps.toReversed()) {
      const outcome = await runStep(name, step, deadline.signal);
      if (outcome !== 'ended') unclean.push(name);
    }
    clearTimeout(timer);
    log.info('shutdown complete', { unclean, durationMs: clock.nowMs() - startMs });
    return unclean;
  }

  return {
    signal: stopping.signal,
    onStop: (name, step) => void steps.push({ name, step }),
    stop: reason => {
      result ??= run(reason);
      return result;
    },
  };
}
