// Metrics of the canary controller.
import type { Metrics } from '../../runtime/index.ts';
import { CANARY_PHASES } from '../../api/index.ts';
import type { Decision, Phase } from './observed.ts';

/** Canaries with series of their own; those beyond are in the sums alone. */
const MAX_NAMED = 1_000;

export interface Meters {
  observe(namespace: string, name: string, before: Phase | undefined, decision: Decision): void;
  forget(namespace: string, name: string, before: Phase | undefined): void;
}

const STATUS: Readonly<Partial<Record<Phase, number>>> = { Initialized: 1, Succeeded: 1, Failed: 2 };

export function createMeters(metrics: Metrics): Meters {
  const phases = metrics.gauge({
    name: 'weft_canary_objects',
    help: 'Canaries by phase.',
    labelNames: ['phase'],
    zero: CANARY_PHASES.filter(phase => phase !== '').map(phase => ({ phase })),
  });
  const outcomes = metrics.counter({
    name: 'weft_canary_runs_total',
    help: 'Runs that came to an end.',
    labelNames: ['result'],
    zero: [{ result: 'succeeded' }, { result: 'failed' }],
  });
  const looks = metrics.counter({
    name: 'weft_canary_looks_total',
    help: 'Looks at runs that did not move on, by reason.',
    labelNames: ['result'],
    zero: ['Halted', 'Inconclusive', 'Waiting', 'Advanced'].map(result => ({ result })),
  });
  const status = metrics.gauge({
    name: 'weft_canary_status',
    help: 'Of one Canary: 0 running, 1 good, 2 failed.',
    labelNames: ['namespace', 'name'],
  });
  const weight = metrics.gauge({
    name: 'weft_canary_weight',
    help: 'Share of the canary of one Canary in percent.',
    labelNames: ['namespace', 'name'],
  });
  const named = new Set<string>();

  return {
    observe: (namespace, name, before, { progress, events }) => {
      const { phase } = progress;
      if (before !== phase) {
        if (before !== undefined && before !== '') phases.dec({ phase: before });
        if (phase !== '') phases.inc({ phase });
        if (before !== undefined && phase === 'Succeeded' && before !== 'Waiting')
          outcomes.inc({ result: 'succeeded' });
        if (before !== undefined && phase === 'Failed') outcomes.inc({ result: 'failed' });
      }
      for (const { reason } of events)
        if (['Halted', 'Inconclusive', 'Waiting', 'Advanced'].includes(reason)) looks.inc({ result: reason });
      const key = `${namespace}/${name}`;
      if (named.size >= MAX_NAMED && !named.has(key)) return;
      named.add(key);
      status.set(STATUS[phase] ?? 0, { namespace, name });
      weight.set(progress.canaryWeight, { namespace, name });
    },
    forget: (namespace, name, before) => {
      if (before !== undefined && before !== '') phases.dec({ phase: before });
      const key = `${namespace}/${name}`;
      // A series cannot be taken back; it keeps its place, for one of the same name.
      if (!named.has(key)) return;
      status.set(0, { namespace, name });
      weight.set(0, { namespace, name });
    },
  };
}
