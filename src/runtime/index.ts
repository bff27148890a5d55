// Runtime: work queue, controller loop, readiness, shutdown, backoff, and the ports for time, logs and metrics.
// Owns no Kubernetes type and no I/O. Imports nothing from the project but src/kernel.
export { type Backoff, type BackoffOptions, createBackoff } from './backoff.ts';
export {
  type Controller,
  type ControllerOptions,
  createController,
  done,
  type Reconcile,
  type ReconcileContext,
  type ReconcileResult,
  requeueAfter,
} from './controller.ts';
export { type Coalescer, createCoalescer } from './coalesce.ts';
export type {
  Clock,
  Counter,
  Gauge,
  Histogram,
  HistogramOptions,
  Labels,
  LogFields,
  Logger,
  MetricOptions,
  Metrics,
  Unsubscribe,
} from './ports.ts';
export { createReadiness, type Readiness, type ReadinessTask } from './readiness.ts';
export { createShutdown, type Shutdown, type ShutdownStep } from './shutdown.ts';
export { silentLogger, silentMetrics } from './silent.ts';
export { createLanes } from './lanes.ts';
export { sleep } from './sleep.ts';
export type { Priority } from './workqueue.ts';
