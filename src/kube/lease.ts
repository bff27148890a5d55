// Leader election on a coordination.k8s.io Lease, by client-go's rules: a candidate takes the lease when it is free or when it has not changed,
// by the candidate's own clock, for as long as the lease says; all writes carry the resource version that was read. The write gate closes by
// the clock alone, well before another replica may take over, so that a process that was suspended does not write with an old mandate.
import type { Clock, Logger, Metrics, Unsubscribe } from '../runtime/index.ts';
import { sleep } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { isConflict, isNotFound } from './api-error.ts';
import { isRecord } from './raw-object.ts';
import { resourcePath } from './resource-type.ts';
import type { WriteGate } from './write-gate.ts';

const LEASES = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };

export interface LeaseOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique per process, e.g. the pod's name plus a random part. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How long others wait after the last renewal that they saw. Default 15 s. */
  readonly leaseMs?: number;
  /** How long a holder believes in its own last renewal; must be shorter than leaseMs. Default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Time between attempts. Default 2 s. */
  readonly retryMs?: number;
}

export interface Leadership extends WriteGate {
  /** Called when leadership is gained or lost. */
  onChange(listener: (leading: boolean) => void): Unsubscribe;
  /** When the last attempt began or ended. */
  health(): { readonly lastActivityMs: number };
  /** Takes part until `signal` aborts, then releases the lease if it is held. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

interface LeaseObject {
  readonly resourceVersion: string;
  readonly holder: string;
  readonly transitions: number;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

function parseLease(value: unknown): LeaseObject {
  const root = isRecord(value) ? value : {};
  const metadata = isRecord(root['metadata']) ? root['metadata'] : {};
  const spec = isRecord(root['spec']) ? root['spec'] : {};
  const { holderIdentity, leaseTransitions } = spec;
  const { resourceVersion } = metadata;
  return {
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
    spec,
    metadata,
  };
}

export function createLeadership(options: LeaseOptions): Leadership {
  const { client, namespace, name, identity, clock, random } = options;
  const { leaseMs = 15_000, renewDeadlineMs = 10_000, retryMs = 2_000 } = options;
  const log = options.log.child({ component: 'lease', name, identity });
  const gauge = options.metrics.gauge({
    name: 'weft_leader',
    help: '1 while this replica holds the lease and writes to the cluster.',
    zero: [{}],
  });
  const listeners = new Set<(leading: boolean) => void>();
  const path = resourcePath(LEASES, { namespace, name });
  let renewedMs = Number.NEGATIVE_INFINITY;
  let announced = false;
  let lastActivityMs: number | undefined;
  let observed = { resourceVersion: '', atMs: 0 };

  const mayWrite = (): boolean => clock.nowMs() < renewedMs + renewDeadlineMs;

  function announce(): void {
    const leading = mayWrite();
    if (leading === announced) return;
    announced = leading;
    gauge.set(leading ? 1 : 0);
    log.info(leading ? 'became leader' : 'no longer leader');
    for (const listener of listeners) listener(leading);
  }

  function body(from: LeaseObject | undefined, holder: string, nowMs: number): unknown {
    const taken = from?.holder !== holder;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: from?.metadata ?? { namespace, name },
      spec: {
        ...from?.spec,
        holderIdentity: holder,
        leaseDurationSeconds: holder === '' ? 1 : Math.ceil(leaseMs / 1000),
        renewTime: microTime(nowMs),
        ...(taken
          ? { acquireTime: microTime(nowMs), leaseTransitions: from === undefined ? 0 : from.transitions + 1 }
          : {}),
      },
    };
  }

  async function read(signal: AbortSignal): Promise<LeaseObject | undefined> {
    try {
      return parseLease(await client.request({ method: 'GET', path, signal }));
    } catch (thrown) {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    }
  }

  async function attempt(signal: AbortSignal): Promise<void> {
    const lease = await read(signal);
    const nowMs = clock.nowMs();
    if (lease === undefined) {
      await client.request({
        method: 'POST',
        path: resourcePath(LEASES, { namespace }),
        body: body(undefined, identity, nowMs),
        signal,
      });
    } else {
      if (lease.resourceVersion !== observed.resourceVersion)
        observed = { resourceVersion: lease.resourceVersion, atMs: nowMs };
      const free = lease.holder === '' || nowMs >= observed.atMs + leaseMs;
      if (lease.holder !== identity && !free) return;
      await client.request({ method: 'PUT', path, body: body(lease, identity, nowMs), signal });
    }
    // The mandate counts from before the write: the others count from after it.
    renewedMs = nowMs;
  }

  async function release(): Promise<void> {
    if (!mayWrite()) return;
    // Closed first: nothing may be written once the lease may be somebody else's.
    renewedMs = Number.NEGATIVE_INFINITY;
    announce();
    const signal = AbortSignal.timeout(5_000);
    try {
      const lease = await read(signal);
      if (lease?.holder !== identity) return;
      await client.request({ method: 'PUT', path, body: body(lease, '', clock.nowMs()), signal });
      log.info('lease released');
    } catch (err) {
      log.warn('lease could not be released; another replica takes over when it runs out', { err });
    }
  }

  return {
    mayWrite,
    // Who takes no part hangs nowhere.
    health: () => ({ lastActivityMs: lastActivityMs ?? clock.nowMs() }),
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    run: async signal => {
      while (!signal.aborted) {
        lastActivityMs = clock.nowMs();
        try {
          // An attempt that hangs must not outlive the mandate.
          await attempt(AbortSignal.any([signal, AbortSignal.timeout(renewDeadlineMs / 2)]));
        } catch (thrown) {
          // Somebody else wrote first: look again at the next turn.
          if (!signal.aborted && !isConflict(thrown)) log.warn('lease attempt failed', { err: thrown });
        }
        announce();
        await sleep(retryMs * (0.8 + 0.4 * random()), signal);
        announce();
      }
      lastActivityMs = undefined;
      await release();
    },
  };
}
