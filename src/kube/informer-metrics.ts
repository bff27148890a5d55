// What an informer tells about itself; `kind` is one of the watched kinds, a closed set.
import type { Metrics } from '../runtime/index.ts';

const REASONS = ['ended', 'error', 'expired'] as const;

export interface InformerMeters {
  restart(reason: (typeof REASONS)[number]): void;
  decodeErrors(): void;
  objects(count: number): void;
  progress(nowMs: number): void;
}

export function informerMetrics(metrics: Metrics, kind: string): InformerMeters {
  const label = { kind };
  const restarts = metrics.counter({
    name: 'weft_informer_restarts_total',
    help: 'Watches that ended and were started again, by kind and reason.',
    labelNames: ['kind', 'reason'],
    zero: REASONS.map(reason => ({ kind, reason })),
  });
  const decodeErrors = metrics.counter({
    name: 'weft_informer_decode_errors_total',
    help: 'Objects and events that could not be read.',
    labelNames: ['kind'],
    zero: [label],
  });
  const objects = metrics.gauge({
    name: 'weft_informer_objects',
    help: 'Objects held in memory.',
    labelNames: ['kind'],
    zero: [label],
  });
  const progress = metrics.gauge({
    name: 'weft_informer_last_progress_timestamp_seconds',
    help: 'Unix time at which the API server last sent anything for this kind.',
    labelNames: ['kind'],
    zero: [label],
  });
  return {
    restart: reason => restarts.inc({ kind, reason }),
    decodeErrors: () => decodeErrors.inc(label),
    objects: count => objects.set(count, label),
    progress: nowMs => progress.set(nowMs / 1000, label),
  };
}
