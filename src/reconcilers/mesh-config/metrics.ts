// Where the certificates of a mesh stand, as metrics of the replica that leads.
import type { Metrics } from '../../runtime/index.ts';
import type { MeshDecision } from './decide.ts';
import type { MeshInput } from './gather.ts';
import type { RotationPhase } from './rotation.ts';

const PHASES: readonly RotationPhase[] = ['Stable', 'Trusting', 'Renewing'];

export function createRotationMetrics(metrics: Metrics): (input: MeshInput, decision: MeshDecision) => void {
  const ends = metrics.gauge({
    name: 'weft_issuer_expiration_timestamp_seconds',
    help: 'When the issuer of a mesh or its root ends, whichever is first; 0 while there is none.',
    labelNames: ['mesh'],
  });
  const phase = metrics.gauge({
    name: 'weft_rotation_phase',
    help: '1 for the phase in which the certificates of a mesh are, 0 for the others.',
    labelNames: ['mesh', 'phase'],
  });
  const waiting = metrics.gauge({
    name: 'weft_rotation_waiting_proxies',
    help: 'Proxies that the phase waits for.',
    labelNames: ['mesh'],
  });
  return ({ mesh, generations }, { rotation }) => {
    const active = generations.find(({ name }) => name === rotation.active);
    ends.set((active?.notAfterMs ?? 0) / 1_000, { mesh });
    for (const name of PHASES) phase.set(name === rotation.phase ? 1 : 0, { mesh, phase: name });
    waiting.set(rotation.waitingFor.length, { mesh });
  };
}
