// Writes conditions through the status subresource, with server-side apply. An object's status is written at once when a condition flips or
// its generation is newly observed, else at most once per quiet time: every write bumps resourceVersion and costs other writers a conflict.
import { AppError, type ObjectKey, nameOf } from '../kernel/index.ts';
import type { Clock, Metrics } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { isConflict } from './api-error.ts';
import { type Condition, planStatus, type StatusPlan } from './conditions.ts';
import { apiVersionOf, type ResourceType, resourcePath } from './resource-type.ts';
import type { WriteGate } from './write-gate.ts';

export interface StatusWriterOptions {
  readonly client: ApiClient;
  readonly fieldManager: string;
  readonly gate: WriteGate;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Default 5 s. */
  readonly quietMs?: number;
}

export interface StatusWrite {
  readonly key: ObjectKey;
  readonly type: ResourceType;
  readonly uid: string;
  readonly plan: StatusPlan;
  readonly current: readonly Condition[];
  /** Other fields of status that are ours to write, e.g. `identity`; sent whole with every write. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Whether `extra` differs from what is stored: such a write does not wait. */
  readonly extraChanged?: boolean;
  readonly signal: AbortSignal;
}

export type StatusOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'written' }
  | { readonly kind: 'gated' }
  /** Submit again after this time. */
  | { readonly kind: 'later'; readonly afterMs: number };

export interface StatusWriter {
  write(write: StatusWrite): Promise<StatusOutcome>;
  /** Drops what is remembered of an object that is gone. */
  forget(key: ObjectKey): void;
}

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, fieldManager, gate, clock, metrics, quietMs = 5_000 } = options;
  const lastWrites = new Map<ObjectKey, number>();
  const writes = metrics.counter({
    name: 'weft_status_writes_total',
    help: 'Status writes by field manager and result.',
    labelNames: ['controller', 'result'],
    zero: ['written', 'unchanged', 'later', 'gated', 'conflict', 'failed'].map(result => ({
      controller: fieldManager,
      result,
    })),
  });
  const count = (result: string): void => writes.inc({ controller: fieldManager, result });

  async function send(write: StatusWrite, conditions: readonly Condition[]): Promise<void> {
    const { key, type, extra } = write;
    const { namespace, name } = nameOf(key);
    const metadata = namespace === '' ? { name } : { namespace, name };
    try {
      await client.request({
        method: 'PATCH',
        path: resourcePath(type, { ...metadata, subresource: 'status' }),
        query: { fieldManager, force: true },
        contentType: 'application/apply-patch+yaml',
        body: { apiVersion: apiVersionOf(type), kind: type.kind, metadata, status: { ...extra, conditions } },
        signal: write.signal,
      });
      lastWrites.set(key, clock.nowMs());
      count('written');
    } catch (thrown) {
      count(isConflict(thrown) ? 'conflict' : 'failed');
      throw AppError.from(thrown);
    }
  }

  return {
    write: async write => {
      const step = planStatus({
        plan: write.plan,
        current: write.current,
        lastWriteMs: write.extraChanged === true ? undefined : lastWrites.get(write.key),
        nowMs: clock.nowMs(),
        quietMs,
      });
      if (step.kind === 'none' && write.extraChanged !== true) {
        count('unchanged');
        return { kind: 'unchanged' };
      }
      if (!gate.mayWrite()) {
        count('gated');
        return { kind: 'gated' };
      }
      if (step.kind === 'later') {
        count('later');
        return step;
      }
      await send(write, step.conditions);
      return { kind: 'written' };
    },
    forget: key => void lastWrites.delete(key),
  };
}
