// Telemetry of the operator itself: logs (pino), metrics (prom-client), the admin listener with liveness and readiness. Owns the libraries behind
// the ports of src/runtime; nothing else imports them. Imports src/runtime.
export { type AdminServer, createAdminServer } from './admin-server.ts';
export { judgeLiveness, type Liveness, type LoopHealth } from './liveness.ts';
export { createPinoLogger, LOG_LEVELS, type LogLevel } from './pino-logger.ts';
export { createPromMetrics, type PromMetrics } from './prom-metrics.ts';
export * from './promql/index.ts';
export * from './signals/index.ts';
