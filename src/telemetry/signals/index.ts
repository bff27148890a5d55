/**
 * The golden signals: what proxies report, kept for a day within a bound, and read back as the metrics that a scraper of the proxies would have.
 * Pure but for the clock that is handed in.
 */
import type { Clock, Metrics } from '../../runtime/index.ts';
import type { ReportSink } from '../../model/index.ts';
import { createLocalReader, type SignalReader } from './reader.ts';
import { createReports, type ReportsOptions } from './reports.ts';
import { SLOT_MS } from './series.ts';
import { createSignalStore, STORE_LIMITS } from './store.ts';

export { METRICS } from './kinds.ts';
export type { SeriesQuestion, SignalReader } from './reader.ts';

export interface SignalsOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly own: ReportsOptions['own'];
  /** Names of the other replicas. */
  readonly others: () => readonly string[];
}

export interface Signals {
  readonly sink: ReportSink;
  readonly reader: SignalReader;
  close(): void;
}

export function createSignals({ clock, metrics, own, others }: SignalsOptions): Signals {
  const store = createSignalStore(STORE_LIMITS);
  const reports = createReports({ store, clock, own });
  const series = metrics.gauge({ name: 'weft_signals_series', help: 'Series of golden signals.', zero: [{}] });
  const bytes = metrics.gauge({ name: 'weft_signals_bytes', help: 'Bytes that golden signals take.', zero: [{}] });
  const folded = metrics.gauge({
    name: 'weft_signals_folded_series',
    help: 'Series that were folded into others, to keep to the bounds.',
    zero: [{}],
  });
  const windows = metrics.gauge({
    name: 'weft_signals_window_seconds',
    help: 'How far golden signals reach back: every ten seconds (fine), and at all.',
    labelNames: ['part'],
  });
  const timer = setInterval(() => {
    store.tick(clock.nowMs());
    reports.sweep();
    series.set(store.size);
    bytes.set(store.bytes);
    folded.set(store.folded);
    windows.set(store.windowsMs.fine / 1_000, { part: 'fine' });
    windows.set(store.windowsMs.all / 1_000, { part: 'all' });
  }, SLOT_MS).unref();
  return { sink: reports, reader: createLocalReader(store, others), close: () => clearInterval(timer) };
}
