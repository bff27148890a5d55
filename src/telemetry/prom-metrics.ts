// The Metrics port on prom-client, with a registry of its own.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { HistogramOptions, Labels, MetricOptions, Metrics } from '../runtime/index.ts';

export interface PromMetrics extends Metrics {
  /** Prometheus text format. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface PromMetricsOptions {
  /** Process and runtime metrics (memory, CPU, event loop lag, garbage collection). Default true. */
  readonly processMetrics?: boolean;
}

export function createPromMetrics({ processMetrics = true }: PromMetricsOptions = {}): PromMetrics {
  const registry = new Registry();
  if (processMetrics) collectDefaultMetrics({ register: registry });

  function known<M>(name: string, kind: new (...args: never[]) => M, make: () => M): M {
    const existing: unknown = registry.getSingleMetric(name);
    if (existing === undefined) return make();
    if (existing instanceof kind) return existing;
    throw new TypeError(`metric ${name} is registered as another kind`);
  }

  const configuration = ({ name, help, labelNames = [] }: MetricOptions) => ({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
  });

  return {
    counter: options => {
      const metric = known(options.name, Counter, () => new Counter(configuration(options)));
      for (const labels of options.zero ?? []) metric.inc({ ...labels }, 0);
      return { inc: (labels: Labels = {}, by = 1) => metric.inc(labels, by) };
    },
    gauge: options => {
      const metric = known(options.name, Gauge, () => new Gauge(configuration(options)));
      for (const labels of options.zero ?? []) metric.inc({ ...labels }, 0);
      return {
        set: (value: number, labels: Labels = {}) => metric.set(labels, value),
        inc: (labels: Labels = {}, by = 1) => metric.inc(labels, by),
        dec: (labels: Labels = {}, by = 1) => metric.dec(labels, by),
      };
    },
    histogram: (options: HistogramOptions) => {
      const make = (): Histogram => new Histogram({ ...configuration(options), buckets: [...options.buckets] });
      const metric = known(options.name, Histogram, make);
      for (const labels of options.zero ?? []) metric.zero({ ...labels });
      return { observe: (value: number, labels: Labels = {}) => metric.observe(labels, value) };
    },
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
