// Server-side apply with one field manager per controller. An object that already is as desired is not written: the writer compares what it is
// about to say with what the caller's store holds, and remembers the hash of what it said in an annotation, so that a field which is no longer
// wanted is noticed too.
import { AppError, contentHash } from '../kernel/index.ts';
import type { Logger, Metrics } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { isConflict, isNotFound } from './api-error.ts';
import { isRecord, type RawObject } from './raw-object.ts';
import { type ResourceType, resourcePath } from './resource-type.ts';
import type { WriteGate } from './write-gate.ts';

/** Annotation with the content hash of what we applied last. */
const APPLIED_HASH = 'weft.dev/applied-hash';

export interface WriterOptions {
  readonly client: ApiClient;
  /** E.g. `weft-trust-bundle`; the API server keeps ownership of fields by this name. */
  readonly fieldManager: string;
  readonly gate: WriteGate;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export type WriteOutcome = 'unchanged' | 'written' | 'gated';

export interface Writer {
  /**
   * Makes the fields of `desired` so. `current` is the object as the caller knows it, undefined when it is new. Takes over fields that another
   * manager holds: what a controller applies is its own by design.
   */
  apply(type: ResourceType, desired: RawObject, options: ApplyOptions): Promise<WriteOutcome>;
  /** Creates; `unchanged` when an object of that name is there already (for names derived from content, or made once). */
  create(type: ResourceType, desired: RawObject, signal: AbortSignal): Promise<WriteOutcome>;
  /** Deletes the very object of that UID; gone already is `unchanged`. */
  remove(type: ResourceType, name: ObjectRef, signal: AbortSignal): Promise<WriteOutcome>;
}

export interface ApplyOptions {
  readonly current: RawObject | undefined;
  readonly signal: AbortSignal;
  /** Off for objects of other people of which we own single fields: they get no annotation of ours. Default true. */
  readonly annotate?: boolean;
}

export interface ObjectRef {
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
}

/** Whether everything that `desired` says holds in `current`. Lists must be equal in length and order. */
function covers(current: unknown, desired: unknown): boolean {
  if (Array.isArray(desired)) {
    return (
      Array.isArray(current) &&
      current.length === desired.length &&
      desired.every((item, index) => covers(current[index], item))
    );
  }
  if (isRecord(desired)) {
    return (
      isRecord(current) &&
      Object.entries(desired).every(([name, value]) => value === undefined || covers(current[name], value))
    );
  }
  return current === desired;
}

function withHash(desired: RawObject): RawObject {
  const annotations = { ...desired.metadata.annotations, [APPLIED_HASH]: contentHash(desired) };
  return { ...desired, metadata: { ...desired.metadata, annotations } };
}

const OUTCOMES: readonly WriteOutcome[] = ['unchanged', 'written', 'gated'];

export function createWriter(options: WriterOptions): Writer {
  const { client, fieldManager, gate } = options;
  const log = options.log.child({ component: 'writer', fieldManager });
  const writes = options.metrics.counter({
    name: 'weft_kube_writes_total',
    help: 'Writes to the cluster by field manager and outcome; unchanged means that nothing was sent.',
    labelNames: ['controller', 'result'],
    zero: [...OUTCOMES, 'conflict', 'failed'].map(result => ({ controller: fieldManager, result })),
  });

  async function write(what: RawObject | ObjectRef, send: () => Promise<unknown>): Promise<WriteOutcome> {
    const count = (result: string): void => writes.inc({ controller: fieldManager, result });
    if (!gate.mayWrite()) {
      count('gated');
      return 'gated';
    }
    try {
      await send();
    } catch (thrown) {
      count(isConflict(thrown) ? 'conflict' : 'failed');
      throw AppError.from(thrown);
    }
    count('written');
    const meta = 'metadata' in what ? what.metadata : what;
    log.info('object written', { object: `${meta.namespace ?? ''}/${meta.name}` });
    return 'written';
  }

  const unchanged = (): WriteOutcome => {
    writes.inc({ controller: fieldManager, result: 'unchanged' });
    return 'unchanged';
  };

  return {
    apply: async (type, object, { current, signal, annotate = true }) => {
      const desired = annotate ? withHash(object) : object;
      if (current !== undefined && covers(current, desired)) return unchanged();
      const path = resourcePath(type, named(desired.metadata));
      return write(desired, () =>
        client.request({
          method: 'PATCH',
          path,
          query: { fieldManager, force: true },
          // JSON is YAML.
          contentType: 'application/apply-patch+yaml',
          body: desired,
          signal,
        }),
      );
    },
    create: async (type, desired, signal) => {
      const { namespace } = desired.metadata;
      const path = resourcePath(type, namespace === undefined ? {} : { namespace });
      try {
        return await write(desired, () =>
          client.request({ method: 'POST', path, query: { fieldManager }, body: desired, signal }),
        );
      } catch (thrown) {
        if (thrown instanceof AppError && thrown.code === 'already-exists') return unchanged();
        throw thrown;
      }
    },
    remove: async (type, ref, signal) => {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: ref.uid } };
      try {
        return await write(ref, () =>
          client.request({ method: 'DELETE', path: resourcePath(type, named(ref)), body, signal }),
        );
      } catch (thrown) {
        if (isNotFound(thrown)) return unchanged();
        throw thrown;
      }
    },
  };
}

function named({ namespace, name }: { readonly namespace?: string; readonly name: string }) {
  return namespace === undefined ? { name } : { namespace, name };
}
