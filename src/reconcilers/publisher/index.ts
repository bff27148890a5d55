// The publisher: from the stores to what proxies are served. Takes a snapshot, compiles it, and puts the result in the place of the former one:
// the first change after a quiet time at once, what follows within the window together. Runs on every replica, writes nothing. If compile throws
// (a defect: it must not), the last good plan stays in force, which is counted and logged. Imports L0 to L3.
import {
  type Changes,
  changesBetween,
  compile,
  type Compiled,
  type CompileOptions,
  type Plan,
  type Rendered,
  renderAgain,
  scopeOf,
  whoIs,
} from '../../compile/index.ts';
import type { ObjectKey } from '../../kernel/index.ts';
import type { ConfigSource, Snapshot, Who } from '../../model/index.ts';
import { type Clock, createCoalescer, type Logger, type Metrics, type Unsubscribe } from '../../runtime/index.ts';
import { createRenderCache, type RenderCache } from './render-cache.ts';

/** DESIGN: changes within this time share one publish. */
const WINDOW_MS = 20;
/** Rendered resources that nobody holds any more are forgotten once there are this many more than twice those that are held. */
const SPARE = 1_000;

export interface Publication extends Compiled {
  readonly snapshot: Snapshot;
  readonly generation: number;
}

export interface PublisherOptions {
  readonly snapshot: () => Snapshot;
  readonly compileOptions: () => Omit<CompileOptions, 'nowMs'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly windowMs?: number;
  /** For tests; the real compiler by default. */
  readonly compiler?: Compiler;
}

export interface Compiler {
  compile(snapshot: Snapshot, options: CompileOptions): Compiled;
  renderAgain(
    ask: { readonly plan: Plan; readonly who: Who; readonly name: string },
    before: Rendered | undefined,
  ): Rendered;
  whoIs(plan: Plan, podKey: ObjectKey): Who | undefined;
  scopeOf(plan: Plan, who: Who, name: string): string;
  changesBetween(former: Plan, plan: Plan): Changes;
}

export interface Publisher extends ConfigSource {
  /** Something that compile reads has changed. */
  request(): void;
  /** The last good publication. */
  current(): Publication | undefined;
  /** Since when a request waits for its publication; now, when none does. */
  health(): { readonly lastActivityMs: number };
  close(): void;
}

function publisherMetrics(metrics: Metrics) {
  return {
    runs: metrics.counter({
      name: 'weft_compile_total',
      help: 'Compilations by result; failed means that the last good configuration stays in force.',
      labelNames: ['result'],
      zero: [{ result: 'ok' }, { result: 'failed' }],
    }),
    duration: metrics.histogram({
      name: 'weft_compile_duration_seconds',
      help: 'Time from taking the snapshot to having told the listeners.',
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
      zero: [{}],
    }),
    generation: metrics.gauge({
      name: 'weft_compile_generation',
      help: 'Number of the publication in force.',
      zero: [{}],
    }),
    problems: metrics.gauge({
      name: 'weft_compile_problems',
      help: 'Problems that the last compilation found in users’ objects.',
      labelNames: ['severity'],
      zero: [{ severity: 'error' }, { severity: 'warning' }],
    }),
    renderErrors: metrics.counter({
      name: 'weft_render_errors_total',
      help: 'Resources whose rendering failed.',
      zero: [{}],
    }),
  };
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { clock, windowMs = WINDOW_MS, compiler = { compile, renderAgain, whoIs, scopeOf, changesBetween } } = options;
  const log = options.log.child({ component: 'publisher' });
  const meters = publisherMetrics(options.metrics);
  const listeners = new Set<() => void>();
  let current: Publication | undefined;
  let cache: RenderCache | undefined;
  let changes: Changes = () => true;
  /** How many were asked for when everything was last asked for again; undefined: that is under way. */
  let held: number | undefined = 0;
  let waitingSinceMs: number | undefined;

  function onRenderError(name: string, thrown: unknown): void {
    meters.renderErrors.inc();
    log.error('render failed; the former resource stays in force', { resource: name, err: thrown });
  }

  function take(): Publication | undefined {
    try {
      const snapshot = options.snapshot();
      const compiled = compiler.compile(snapshot, { ...options.compileOptions(), nowMs: clock.nowMs() });
      meters.runs.inc({ result: 'ok' });
      return { ...compiled, snapshot, generation: (current?.generation ?? 0) + 1 };
    } catch (thrown) {
      meters.runs.inc({ result: 'failed' });
      log.error('compile failed; the last good configuration stays in force', { err: thrown });
      return undefined;
    }
  }

  function tell(): void {
    for (const listener of listeners) {
      try {
        listener();
      } catch (thrown) {
        log.error('publish listener failed', { err: thrown });
      }
    }
  }

  // Functions of their own, because closures made in one function keep everything alive that any of them looks at: what a cache keeps must not be
  // the former cache, or no plan is ever forgotten.
  function changesSince(former: Plan | undefined, plan: Plan, failed: ReadonlySet<string> = new Set()): Changes {
    if (former === undefined) return () => true;
    const differs = compiler.changesBetween(former, plan);
    return (who, name) => differs(who, name) || failed.has(name);
  }

  function cacheOf({ plan, generation }: Publication, former: RenderCache | undefined, keepAll: boolean): RenderCache {
    return createRenderCache({
      generation,
      render: (who, name, before) => compiler.renderAgain({ plan, who, name }, before),
      scope: (who, name) => compiler.scopeOf(plan, who, name),
      former,
      keepAll,
      onError: onRenderError,
    });
  }

  function publish(): void {
    waitingSinceMs = undefined;
    const startMs = performance.now();
    const publication = take();
    if (publication === undefined) return;
    const size = cache?.entries.size ?? 0;
    held ??= size;
    const keepAll = size <= 2 * held + SPARE;
    changes = keepAll ? changesSince(current?.plan, publication.plan, cache?.failed) : () => true;
    if (!keepAll) held = undefined;
    current = publication;
    cache = cacheOf(publication, cache, keepAll);
    for (const severity of ['error', 'warning'] as const) {
      meters.problems.set(publication.problems.filter(problem => problem.severity === severity).length, { severity });
    }
    meters.generation.set(publication.generation);
    tell();
    const durationMs = performance.now() - startMs;
    meters.duration.observe(durationMs / 1000);
    log.debug('published', { generation: publication.generation, durationMs: Math.round(durationMs) });
  }

  const coalescer = createCoalescer({ windowMs, run: publish });
  return {
    request: () => {
      waitingSinceMs ??= clock.nowMs();
      coalescer.request();
    },
    health: () => ({ lastActivityMs: waitingSinceMs ?? clock.nowMs() }),
    current: () => current,
    close: () => coalescer.close(),
    resource: (who, name) => cache?.get(who, name),
    changed: (who, name) => changes(who, name),
    view: podKey => (current === undefined ? undefined : compiler.whoIs(current.plan, podKey)),
    onPublish: (listener): Unsubscribe => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get generation() {
      return current?.generation ?? 0;
    },
  };
}
