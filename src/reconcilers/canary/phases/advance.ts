// The next share, iteration, or promotion, past the gates before it.
import { type Asking, hooks, type Refusal } from '../ask.ts';
import type { Look } from '../look.ts';
import { startPromotion } from './promote.ts';

export function* advance(look: Look): Asking<void> {
  const { plan, progress } = look;
  look.set({ inconclusiveChecks: 0 });
  look.again(plan.intervalMs);
  const next = nextOf(look);
  if (next === 'promotion') {
    const refusal = yield* hooks(look, 'confirm-promotion');
    if (refusal === undefined) startPromotion(look);
    else hold(look, 'WaitingPromotion', refusal, 'confirm-promotion');
    return;
  }
  if (progress.phase === 'Progressing') {
    const refusal = yield* hooks(look, 'confirm-traffic-increase');
    if (refusal !== undefined) {
      hold(look, 'Progressing', refusal, 'confirm-traffic-increase');
      return;
    }
  }
  look.route(next.weight);
  look.enter('Progressing', { iterations: next.iterations });
  look.tell('Normal', 'Advanced', `Advance ${look.who} canary ${next.text}`);
}

interface Next {
  readonly weight: number;
  readonly iterations: number;
  readonly text: string;
}

function nextOf({ plan, progress, weight }: Look): Next | 'promotion' {
  const { strategy } = plan;
  const { iterations } = progress;
  if (strategy.kind === 'weights') {
    // The first share above what is now: one who edits the list in the middle of a run finds no jump.
    const next = strategy.steps.find(step => step > weight);
    return next === undefined ? 'promotion' : { weight: next, iterations, text: `weight ${next}` };
  }
  if (iterations >= strategy.iterations) {
    if (weight > 0) return 'promotion';
    return { weight: 100, iterations: iterations + 1, text: 'weight 100, all traffic' };
  }
  const share = strategy.kind === 'ab' ? 100 : 0;
  return { weight: share, iterations: iterations + 1, text: `iteration ${iterations + 1}/${strategy.iterations}` };
}

/** A gate that is shut is no failure. It is told when it is come to, not each time that it is tried. */
function hold(look: Look, phase: 'Progressing' | 'WaitingPromotion', { hook }: Refusal, type: string): void {
  const gate = `${type} ${hook.name}`;
  const isNew = look.progress.gate !== gate;
  look.enter(phase, { gate });
  if (!isNew) return;
  look.tell('Warning', 'Waiting', `Halt ${look.who} advancement waiting for ${type} approval ${hook.name}`);
  if (!hook.mute) look.alert('warn', `Canary is waiting for approval: ${type}.`);
}
