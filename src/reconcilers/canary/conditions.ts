// The conditions of a Canary: `Promoted` says what Flagger's says, `Accepted` whether the object can be acted on.
import type { Condition } from '../../kube/index.ts';
import type { Decision, Phase } from './observed.ts';

type Plan = Decision['conditions'][number];

const PROMOTED: Readonly<Record<Phase, readonly [Plan['status'], string]>> = {
  '': ['Unknown', 'New Deployment detected, starting initialization.'],
  Initializing: ['Unknown', 'New Deployment detected, starting initialization.'],
  Initialized: ['True', 'Deployment initialization completed.'],
  Waiting: ['Unknown', 'Waiting for approval.'],
  WaitingPromotion: ['Unknown', 'Waiting for approval.'],
  Progressing: ['Unknown', 'New revision detected, progressing canary analysis.'],
  Promoting: ['Unknown', 'Canary analysis completed, starting primary rolling update.'],
  Finalising: ['Unknown', 'Canary analysis completed, routing all traffic to primary.'],
  Succeeded: ['True', 'Canary analysis completed successfully, promotion finished.'],
  Failed: ['False', 'Canary analysis failed, Deployment scaled to zero.'],
  Terminating: ['Unknown', 'The target takes over again before this object goes.'],
  Terminated: ['Unknown', 'The target has taken over again.'],
};

const ACCEPTED: Plan = { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'The object is valid.' };

export function conditionsOf(phase: Phase, stored: readonly Condition[], accepted: Plan = ACCEPTED): readonly Plan[] {
  const [status, message] = PROMOTED[phase];
  // Before the first phase there is nothing to say of it.
  if (phase === '') return [accepted];
  // What stopped a run is told in the condition for as long as it stands.
  const before = stored.find(({ type, reason }) => type === 'Promoted' && reason === phase);
  return [accepted, { type: 'Promoted', status, reason: phase, message: before?.message ?? message }];
}

export const notAccepted = (reason: string, message: string): Plan => ({
  type: 'Accepted',
  status: 'False',
  reason,
  message,
});
