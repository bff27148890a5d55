// Kubernetes Events (events.k8s.io/v1): for people who look at one object. Best effort: what cannot be recorded is counted and forgotten, nobody waits.
// The same sentence about the same object is told once in a while, one object can say so much, and all together so much: a cluster whose objects
// all turn wrong at once must not have its API server flooded by us.
import { nameOf, type ObjectKey } from '../kernel/index.ts';
import type { Clock, Logger, Metrics } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { apiVersionOf, type ResourceType, resourcePath } from './resource-type.ts';
import type { WriteGate } from './write-gate.ts';

export interface EventSubject {
  readonly key: ObjectKey;
  readonly type: ResourceType;
  readonly uid: string;
}

export interface EventText {
  readonly type: 'Normal' | 'Warning';
  /** One word from a closed list. */
  readonly reason: string;
  /** What was done or found out, as one word: `Validate`. */
  readonly action: string;
  /** For people; cut after 1,024 bytes. */
  readonly note: string;
}

export interface EventRecorder {
  /** Never throws, and returns before the event is stored. */
  record(subject: EventSubject, text: EventText): void;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly gate: WriteGate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Name of this replica. */
  readonly instance: string;
  /** How much one object can say. Default: ten events at once, and one a minute. */
  readonly perObject?: { readonly burst: number; readonly refillMs: number };
  /** The same text is not told again within this time. Default: ten minutes. */
  readonly repeatMs?: number;
}

const EVENTS = { group: 'events.k8s.io', version: 'v1', plural: 'events' };
const CONTROLLER = 'weft.dev/operator';
/** The same text is not told again within this time. */
const REPEAT_MS = 600_000;
/** Texts and objects that are remembered; the oldest go first. */
const REMEMBERED = 4_096;
const PER_OBJECT = { burst: 10, refillMs: 60_000 };
const ALL = { burst: 100, refillMs: 1_000 };
const TIMEOUT_MS = 10_000;
/** Limit of the API, in bytes. */
const NOTE_MAX = 1_024;

type Result = 'recorded' | 'repeated' | 'limited' | 'gated' | 'failed';
const RESULTS: readonly Result[] = ['recorded', 'repeated', 'limited', 'gated', 'failed'];

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, gate, clock, instance, perObject = PER_OBJECT, repeatMs = REPEAT_MS } = options;
  const log = options.log.child({ component: 'events' });
  const events = options.metrics.counter({
    name: 'weft_events_total',
    help: 'Kubernetes Events by what became of them.',
    labelNames: ['result'],
    zero: RESULTS.map(result => ({ result })),
  });
  const told = new Map<string, number>();
  const buckets = new Map<string, Bucket>();
  const all: Bucket = { tokens: ALL.burst, atMs: clock.nowMs() };

  function admit({ uid }: EventSubject, { type, reason, note }: EventText): Result {
    if (!gate.mayWrite()) return 'gated';
    const nowMs = clock.nowMs();
    const text = [uid, type, reason, note].join(' ');
    const toldMs = told.get(text);
    if (toldMs !== undefined && nowMs - toldMs < repeatMs) return 'repeated';
    const own = buckets.get(uid) ?? { tokens: perObject.burst, atMs: nowMs };
    remember(buckets, uid, own);
    if (!take(own, perObject, nowMs) || !take(all, ALL, nowMs)) return 'limited';
    remember(told, text, nowMs);
    return 'recorded';
  }

  async function send(subject: EventSubject, text: EventText): Promise<void> {
    const { name, namespace } = nameOf(subject.key);
    // Events of cluster-scoped objects live in `default`; the API accepts no other place.
    const where = namespace === '' ? 'default' : namespace;
    await client.request({
      method: 'POST',
      path: resourcePath(EVENTS, { namespace: where }),
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        // The API adds five characters, and lets no part of a name end in a dot.
        metadata: { generateName: `${name.slice(0, 200).replace(/[-.]+$/, '')}-`, namespace: where },
        // MicroTime: six digits, no less.
        eventTime: new Date(clock.nowMs()).toISOString().replace('Z', '000Z'),
        type: text.type,
        reason: text.reason,
        action: text.action,
        note: cut(text.note),
        regarding: {
          apiVersion: apiVersionOf(subject.type),
          kind: subject.type.kind,
          name,
          uid: subject.uid,
          ...(namespace === '' ? {} : { namespace }),
        },
        reportingController: CONTROLLER,
        reportingInstance: instance.slice(0, 128),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  }

  return {
    record: (subject, text) => {
      const result = admit(subject, text);
      if (result !== 'recorded') return events.inc({ result });
      send(subject, text).then(
        () => events.inc({ result }),
        (err: unknown) => {
          events.inc({ result: 'failed' });
          log.warn('event could not be recorded', { object: subject.key, reason: text.reason, err });
        },
      );
    },
  };
}

interface Bucket {
  tokens: number;
  atMs: number;
}

function take(bucket: Bucket, { burst, refillMs }: typeof ALL, nowMs: number): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + Math.max(0, nowMs - bucket.atMs) / refillMs);
  bucket.atMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/** Newest last; the oldest is dropped beyond the bound. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= REMEMBERED) break;
    map.delete(oldest);
  }
}

function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.byteLength <= NOTE_MAX) return note;
  // A character that was cut through becomes U+FFFD and goes.
  return `${bytes
    .subarray(0, NOTE_MAX - 3)
    .toString()
    .replace(/\uFFFD$/, '')}…`;
}
