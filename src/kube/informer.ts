// A supervised list and watch of one kind. States and what moves them:
//   listing   reads all pages into a new map, then swaps the store at once (deletes are told)      -> watching | backoff | absent
//   watching  applies events; a clean end or an idle stream goes on from the last version          -> watching | listing | backoff
//   backoff   after any error: waits with full jitter. A refusal by the server (410 among them)
//             goes to listing, a broken connection resumes the watch                               -> listing | watching
//   absent    the API does not know the kind (its CRD is not installed): the store is empty and in
//             sync, the list is asked again every few seconds                                      -> listing
//   stopped   the signal aborted
// Only decoded (trimmed) objects are kept. An object that cannot be decoded leaves the store and becomes a problem: its former content must
// not go on silently.
import type { ObjectKey, Problem, Result } from '../kernel/index.ts';
import { type Clock, createBackoff, type Logger, type Metrics, sleep, type Unsubscribe } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { ApiError, isExpired, isNotFound } from './api-error.ts';
import { informerMetrics } from './informer-metrics.ts';
import { listAll } from './list.ts';
import { dropBulk, identityOf } from './raw-object.ts';
import { type ResourceType, resourcePath } from './resource-type.ts';
import { createStore, type Entry, type Store } from './store.ts';
import { parseWatchLine, type WatchEvent } from './watch-event.ts';

export type InformerState = 'listing' | 'watching' | 'backoff' | 'absent' | 'stopped';

export interface InformerOptions<T> {
  /** For logs, metrics and readiness; of a closed set, unique per informer. Default: the kind. */
  readonly name?: string;
  readonly type: ResourceType;
  readonly client: ApiClient;
  readonly decode: (raw: unknown) => Result<T, Problem>;
  /** One namespace instead of all. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly pageSize?: number;
  /** Delays after errors. */
  readonly retryBaseMs?: number;
  readonly retryMaxMs?: number;
  /** A watch on which nothing at all has come for so long is taken for dead. Bookmarks come about once a minute. Default 2 minutes. */
  readonly idleMs?: number;
  /** How often the API is asked for a kind that it does not know. */
  readonly absentPollMs?: number;
}

export interface InformerHealth {
  readonly state: InformerState;
  /** Whether the API said last that it does not know the kind. */
  readonly absent: boolean;
  /** When the server last sent anything; 0 before the first answer. */
  readonly lastProgressMs: number;
  /** When the loop last began or ended anything, failures included: old only if the loop itself hangs. */
  readonly lastActivityMs: number;
  readonly restarts: number;
}

export interface Informer<T> {
  readonly name: string;
  readonly type: ResourceType;
  readonly store: Store<T>;
  /** Resolves after the first complete list, or when the API says that it does not know the kind. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  /** Objects that could not be decoded. */
  problems(): ReadonlyMap<ObjectKey, Problem>;
  health(): InformerHealth;
  /** Called when the API begins or ceases to know the kind. */
  onAbsence(listener: (absent: boolean) => void): Unsubscribe;
  /** Works until `signal` aborts; never rejects. Call once. */
  run(signal: AbortSignal): Promise<void>;
}

// The server is asked to end each watch after 5 to 10 minutes, so that watches spread over API servers after one of them was away.
const WATCH_SECONDS = 300;

export function createInformer<T>(options: InformerOptions<T>): Informer<T> {
  const { type, client, decode, clock, random } = options;
  const { pageSize = 500, retryBaseMs = 200, retryMaxMs = 30_000, absentPollMs = 5_000, idleMs = 120_000 } = options;
  const { name = type.kind } = options;
  const log = options.log.child({ component: 'informer', kind: name, group: type.group });
  const meters = informerMetrics(options.metrics, name);
  const backoff = createBackoff({ baseMs: retryBaseMs, maxMs: retryMaxMs, minMs: Math.min(50, retryBaseMs), random });
  const path = resourcePath(type, options.namespace === undefined ? {} : { namespace: options.namespace });
  const selectors = { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
  const store = createStore<T>();
  let problems = new Map<ObjectKey, Problem>();
  let state: InformerState = 'listing';
  /** Empty: the next step is a list. */
  let resourceVersion = '';
  let notFoundInARow = 0;
  let absent = false;
  const absenceListeners = new Set<(absent: boolean) => void>();
  let restarts = 0;
  let lastProgressMs = 0;
  let lastActivityMs = clock.nowMs();
  let hasSynced = false;
  let resolveSynced: () => void = () => {};
  const synced = new Promise<void>(resolve => {
    resolveSynced = resolve;
  });

  function enter(next: InformerState): void {
    state = next;
    lastActivityMs = clock.nowMs();
  }

  function setAbsent(next: boolean): void {
    if (absent === next) return;
    absent = next;
    log.info(absent ? 'kind is not known to the API; waiting for it' : 'kind has become known to the API');
    for (const listener of absenceListeners) listener(absent);
  }

  function progressed(): void {
    lastProgressMs = clock.nowMs();
    lastActivityMs = lastProgressMs;
    meters.progress(lastProgressMs);
  }

  function becomeSynced(): void {
    meters.objects(store.size);
    if (hasSynced) return;
    hasSynced = true;
    resolveSynced();
    log.info('informer synced', { objects: store.size, state });
  }

  function decoded(key: ObjectKey, raw: unknown, found: Map<ObjectKey, Problem>): T | undefined {
    dropBulk(raw);
    const result = decode(raw);
    if (result.ok) {
      found.delete(key);
      return result.value;
    }
    if (found.get(key)?.message !== result.error.message) {
      meters.decodeErrors();
      log.warn('object could not be decoded', {
        object: key,
        reason: result.error.reason,
        detail: result.error.message,
      });
    }
    found.set(key, result.error);
    return undefined;
  }

  async function list(signal: AbortSignal): Promise<void> {
    enter('listing');
    const entries = new Map<ObjectKey, Entry<T>>();
    const found = new Map<ObjectKey, Problem>();
    const onItem = (raw: unknown): void => {
      const identity = identityOf(type, raw);
      if (identity === undefined) return meters.decodeErrors();
      const value = decoded(identity.key, raw, found);
      if (value !== undefined) entries.set(identity.key, { value, resourceVersion: identity.resourceVersion });
    };
    const version = await listAll({ client, path, query: selectors, pageSize, signal, onItem, onPage: progressed });
    problems = found;
    store.replace(entries);
    resourceVersion = version;
    notFoundInARow = 0;
    becomeSynced();
    setAbsent(false);
  }

  function applyEvent(event: WatchEvent): void {
    if (event.kind === 'error') throw event.error;
    if (event.kind === 'unreadable') {
      meters.decodeErrors();
      log.warn('watch event could not be read', { detail: event.detail });
      // What it said is unknown, so only a list can tell.
      throw new ApiError(410, 'Unreadable', 'an event of the watch could not be read; listing again');
    }
    const identity = identityOf(type, event.object);
    if (event.kind !== 'bookmark' && identity !== undefined) {
      const value = event.kind === 'deleted' ? undefined : decoded(identity.key, event.object, problems);
      if (event.kind === 'deleted') problems.delete(identity.key);
      if (value === undefined) store.delete(identity.key);
      else store.set(identity.key, { value, resourceVersion: identity.resourceVersion });
      meters.objects(store.size);
    }
    resourceVersion = event.resourceVersion;
  }

  async function watch(signal: AbortSignal): Promise<void> {
    enter('watching');
    const startMs = clock.nowMs();
    let events = 0;
    await client.watch({
      path,
      query: {
        ...selectors,
        resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds: Math.ceil(WATCH_SECONDS * (1 + random())),
      },
      signal,
      idleMs,
      onActivity: progressed,
      onLine: line => {
        applyEvent(parseWatchLine(line));
        if (events++ === 0) backoff.reset();
      },
    });
    if (signal.aborted) return;
    restarts++;
    meters.restart('ended');
    // A server that accepts and at once ends every watch must not be asked in a tight loop.
    if (events === 0 && clock.nowMs() - startMs < 1000) await sleep(backoff.nextMs(), signal);
    else backoff.reset();
  }

  async function becomeAbsent(signal: AbortSignal): Promise<void> {
    resourceVersion = '';
    notFoundInARow++;
    // One stray 404 must not empty a store on which access rules rest.
    if (store.size === 0 || notFoundInARow > 1) {
      enter('absent');
      problems = new Map();
      store.replace(new Map());
      becomeSynced();
      setAbsent(true);
    }
    await sleep(absentPollMs * (0.5 + random()), signal);
  }

  async function recover(thrown: unknown, signal: AbortSignal): Promise<void> {
    if (isNotFound(thrown)) return becomeAbsent(signal);
    // The server answered and refused: what we hold may be out of reach for it (410, or a version it does not know). A list is always safe.
    if (thrown instanceof ApiError) resourceVersion = '';
    restarts++;
    meters.restart(isExpired(thrown) ? 'expired' : 'error');
    enter('backoff');
    const delayMs = backoff.nextMs();
    if (isExpired(thrown)) log.info('watch expired; listing again', { delayMs });
    else log.warn('watch failed; trying again', { err: thrown, delayMs });
    await sleep(delayMs, signal);
  }

  return {
    name,
    type,
    store,
    synced,
    get hasSynced() {
      return hasSynced;
    },
    problems: () => problems,
    health: () => ({ state, absent, lastProgressMs, lastActivityMs, restarts }),
    onAbsence: listener => {
      absenceListeners.add(listener);
      return () => void absenceListeners.delete(listener);
    },
    run: async signal => {
      while (!signal.aborted) {
        try {
          if (resourceVersion === '') await list(signal);
          await watch(signal);
        } catch (thrown) {
          if (!signal.aborted) await recover(thrown, signal);
        }
      }
      enter('stopped');
    },
  };
}
