// The first look and those after it, until the primary serves in the target's place.
import type { Asking } from '../ask.ts';
import { primaryName } from '../desired/subject.ts';
import { readinessOf } from '../deployment.ts';
import type { Look } from '../look.ts';
import { primaryRevision, trackedConfigsOf } from '../revision.ts';
import { drained, POLL_MS } from './pace.ts';

// Nothing is asked of others here, but all phases have one form.
// oxlint-disable-next-line require-yield
export function* initialise(look: Look): Asking<void> {
  const { observed, plan, progress } = look;
  look.keep('backends');
  if (observed.primary === undefined) look.copyToPrimary();
  if (progress.phase === '') {
    look.tell('Normal', 'Initializing', `New Deployment ${look.targetWho} detected, starting initialization`);
    look.enter('Initializing', { trackedConfigs: trackedConfigsOf(observed.configs) });
  }
  const readiness = readinessOf(observed.primary, plan.readyPercent.primary);
  if (!readiness.ready) {
    look.again(POLL_MS);
    if (observed.primary === undefined) return;
    const who = `${primaryName(look)}.${look.canary.namespace}`;
    look.wait('pods of the primary', 'NotReady', `${who} not ready: ${readiness.reason}`);
    return;
  }
  const wasRouted = observed.split !== undefined;
  look.keep('all');
  look.route(0);
  if (!wasRouted) {
    look.enter('Initializing');
    look.again(POLL_MS);
    return;
  }
  // The target goes on serving until nobody is sent there any more.
  if (!drained(look)) return;
  const revision = primaryRevision(observed.primary);
  look.scaleDown();
  look.enter('Initialized', {
    lastAppliedSpec: revision,
    lastPromotedSpec: revision,
    failedChecks: 0,
    inconclusiveChecks: 0,
    iterations: 0,
  });
  look.tell('Normal', 'Initialized', `Initialization done! ${look.who}`);
  look.alert('info', 'New Deployment detected, initialization completed.');
}
