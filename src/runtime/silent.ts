// Ports that do nothing: for tools and tests that have no interest in logs or metrics.
import type { Counter, Gauge, Histogram, Logger, Metrics } from './ports.ts';

const nothing = (): void => {};

export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};

const silentMetric: Counter & Gauge & Histogram = { inc: nothing, dec: nothing, set: nothing, observe: nothing };

export const silentMetrics: Metrics = {
  counter: () => silentMetric,
  gauge: () => silentMetric,
  histogram: () => silentMetric,
};
