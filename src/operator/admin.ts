// What every process of ours shows of itself on its admin port: whether it lives, whether it is ready, and what it counts.
import type { OperatorBase } from '../kube/index.ts';
import type { Clock, Logger, Readiness, Shutdown } from '../runtime/index.ts';
import { createAdminServer, judgeLiveness, type PromMetrics } from '../telemetry/index.ts';
import { VERSION } from './version.ts';

/** No loop is silent for longer unless it hangs: watches end or are told bookmarks within two minutes. */
const LIVENESS_MS = 300_000;
/** Every address of the pod, both families. */
export const HOST = '::';

/** Something that goes on as long as the process does. */
export interface Loop {
  readonly name: string;
  readonly health: () => { readonly lastActivityMs: number };
}

export interface AdminOptions {
  readonly port: number;
  readonly metrics: PromMetrics;
  readonly readiness: Readiness;
  readonly shutdown: Shutdown;
  readonly clock: Clock;
  readonly log: Logger;
  readonly watching: Pick<OperatorBase, 'informers'>;
  /** Judged beside the informers; more may come later. */
  readonly loops: readonly Loop[];
}

/** Resolves with the port once it listens; the shutdown closes it. */
export async function startAdmin(options: AdminOptions): Promise<number> {
  const { port, metrics, readiness, shutdown, clock, log, watching, loops } = options;
  metrics.gauge({ name: 'weft_build_info', help: 'Always 1.', labelNames: ['version'] }).set(1, { version: VERSION });
  const admin = createAdminServer({
    metrics,
    readiness,
    log,
    liveness: () => {
      const informers = watching.informers.map(informer => ({
        name: `informer ${informer.name}`,
        health: () => informer.health(),
      }));
      const judged = [...informers, ...loops].map(({ name, health }) => ({ name, ...health() }));
      return judgeLiveness(judged, clock, LIVENESS_MS);
    },
  });
  shutdown.onStop('admin', () => admin.close());
  return await admin.listen(port, HOST);
}
