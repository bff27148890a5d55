import { readinessOf } from '../deployment.ts';
import type { Look } from '../look.ts';

/** All traffic goes to the primary; when it does, the canary is scaled to zero (phase Failed, draining). */
export function rollBack(look: Look, why: string): void {
  const { observed, plan, weight } = look;
  // After a promotion that failed there is nothing to go back to: a bad canary is better than none.
  const stays = weight === 100 && readinessOf(observed.primary, plan.readyPercent.primary).available === 0;
  if (!stays) look.route(0);
  look.enter('Failed', { draining: !stays, analysisStarted: false });
  look.tell('Warning', 'RolledBack', `Rolling back ${look.who} ${why}`);
  const outcome = stays ? 'The primary has no pods, so the canary goes on serving' : 'Canary failed! Scaling down';
  look.tell('Warning', 'Failed', `${outcome} ${look.who}`);
  look.alert('error', `Canary analysis failed: ${why}`);
  look.notify('post-rollout');
  look.again(1);
}
