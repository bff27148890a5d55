// What begins a run, or begins it anew.
import { readinessOf, replicasOf, specOf } from '../deployment.ts';
import type { Look } from '../look.ts';
import { trackedConfigsOf } from '../revision.ts';

export const freshRun = {
  failedChecks: 0,
  inconclusiveChecks: 0,
  iterations: 0,
  analysisStarted: false,
  draining: false,
} as const;

/** As many as the target had, or the autoscaler's least, or as the primary has. */
export function scaleUp(look: Look): void {
  const { target, observed } = look;
  if (replicasOf(target) > 0) return;
  const least = Number(specOf(observed.autoscaler)['minReplicas'] ?? 1);
  look.scale(Math.max(1, observed.autoscaler === undefined ? replicasOf(observed.primary) : least));
}

export function restart(look: Look): void {
  look.tell('Normal', 'NewRevision', `New revision detected! Restarting analysis for ${look.targetWho}`);
  look.enter('Progressing', {
    ...freshRun,
    lastAppliedSpec: look.revision,
    trackedConfigs: trackedConfigsOf(look.observed.configs),
  });
  backToPrimary(look);
  scaleUp(look);
  look.again(look.plan.intervalMs);
}

/** What nobody has looked at gets nothing, unless the primary has no pods to go back to. */
export function backToPrimary(look: Look): void {
  if (readinessOf(look.observed.primary, look.plan.readyPercent.primary).available > 0) look.route(0);
}
