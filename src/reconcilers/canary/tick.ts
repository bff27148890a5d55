// One look at one Canary, from reading to writing. Everything that it knows it has read; a process that was started a moment ago does the same.
import type { Clock } from '../../runtime/index.ts';
import { apply, type ApplyPorts } from './apply.ts';
import { decide } from './decide.ts';
import { gather, type Read } from './gather.ts';
import type { Answer, Decision, Question } from './observed.ts';

export interface TickPorts extends ApplyPorts {
  readonly read: (signal: AbortSignal) => Read;
  readonly ask: (question: Question, signal: AbortSignal) => Promise<Answer>;
  /** Alerts and hooks whose answer changes nothing; does not wait for them. */
  readonly tell: (decision: Decision, canary: { readonly namespace: string; readonly name: string }) => void;
  readonly clock: Clock;
}

/** Undefined: the Canary is gone. */
export async function tick(
  ports: TickPorts,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Decision | undefined> {
  const observed = await gather(ports.read(signal), namespace, name);
  if (observed === undefined) return undefined;
  const deciding = decide(observed, ports.clock.nowMs());
  let step = deciding.next();
  // Ends: each question is one of a hook or a metric of the object, and of these there are only so many.
  while (step.done !== true) step = deciding.next(await ports.ask(step.value, signal));
  const decision = step.value;
  if (await apply(ports, observed.canary, decision, signal)) ports.tell(decision, observed.canary);
  return decision;
}
