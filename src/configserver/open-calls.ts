import { AppError } from '../kernel/index.ts';

/** What is told of a call's end. */
interface Call {
  once(event: 'cancelled' | 'close', listener: () => void): unknown;
}

/** Counts calls that are open, up to a bound. */
export interface OpenCalls {
  /** Aborted when the call has ended; undefined: there are as many as there may be. */
  enter(call: Call): AbortSignal | undefined;
}

export function createOpenCalls(most: number): OpenCalls {
  let open = 0;
  return {
    enter: call => {
      const gone = new AbortController();
      const leave = (): void => {
        if (gone.signal.aborted) return;
        gone.abort(new AppError('cancelled', 'the stream has ended'));
        open -= 1;
      };
      open += 1;
      // Also those beyond the bound: they are there until they have been refused.
      for (const event of ['cancelled', 'close'] as const) call.once(event, leave);
      return open > most ? undefined : gone.signal;
    },
  };
}
