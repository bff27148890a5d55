// The process that runs canaries (`--controllers=canary`): what it is made of, and the order in which it starts and stops. It serves no proxy and holds
// no key; its service account may read Secrets, which the operator's may not.
import { randomUUID } from 'node:crypto';
import {
  createApiClient,
  createEventRecorder,
  createLeadership,
  createStatusWriter,
  createWriter,
  mergedStore,
  OperatorBase,
  type OperatorBaseOptions,
  type Store,
  type WatchOptions,
} from '../kube/index.ts';
import {
  AUTOSCALERS,
  CANARIES,
  type CanaryFacts,
  createCanaryReconciler,
  decodeCanary,
  decodeRelated,
  DEPLOYMENTS,
  type RelatedFacts,
  SERVICES,
  SPLITS,
} from '../reconcilers/canary/index.ts';
import { createReadiness, createShutdown, type Readiness } from '../runtime/index.ts';
import { type Loop, startAdmin } from './admin.ts';
import type { OperatorOptions } from './operator.ts';
import { VERSION } from './version.ts';

export interface RunningCanaries {
  readonly readiness: Readiness;
  readonly adminPort: number;
  /** Whether this replica writes. */
  leading(): boolean;
  /** Names of what did not stop in time. */
  stop(reason: string): Promise<readonly string[]>;
}

class WatchingCanaries extends OperatorBase {
  readonly #namespaces: readonly string[];
  canaries: Store<CanaryFacts> | undefined;
  related: readonly Store<RelatedFacts>[] = [];

  constructor(options: OperatorBaseOptions & { readonly namespaces: readonly string[] }) {
    super(options);
    this.#namespaces = options.namespaces;
  }

  protected override init(): Promise<void> {
    this.canaries = this.#store({ type: CANARIES, decode: decodeCanary });
    this.related = [DEPLOYMENTS, SERVICES, SPLITS, AUTOSCALERS].map(type =>
      this.#store({ type, decode: decodeRelated(type) }),
    );
    return Promise.resolve();
  }

  #store<T>(options: WatchOptions<T>): Store<T> {
    if (this.#namespaces.length === 0) return this.watch(options).store;
    return mergedStore(
      this.#namespaces.map(
        namespace => this.watch({ ...options, name: `${options.type.kind} ${namespace}`, namespace }).store,
      ),
    );
  }
}

export async function startCanaries(input: OperatorOptions): Promise<RunningCanaries> {
  const { options, kubeConfig, clock, log, metrics, random } = input;
  const { namespace, podName } = options;
  const common = { clock, log, metrics, random };
  const readiness = createReadiness();
  const shutdown = createShutdown({ clock, log, deadlineMs: options.shutdownMs });
  const syncTask = readiness.task('stores', 'first list of every kind');
  const client = createApiClient({ kubeConfig, userAgent: `weft-canary/${VERSION}` });
  const watching = new WatchingCanaries({
    ...common,
    kubeConfig,
    client,
    fieldManager: 'weft-canary',
    namespaces: options.watchNamespaces,
  });
  const loops: Loop[] = [];
  const adminPort = await startAdmin({
    port: options.adminPort,
    metrics,
    readiness,
    shutdown,
    clock,
    log,
    watching,
    loops,
  });

  await watching.start();
  shutdown.onStop('informers', () => {
    watching.stop();
    return watching.stopped();
  });
  const { canaries, related } = watching;
  if (canaries === undefined) throw new Error('the stores have not been made');
  void Promise.all(watching.informers.map(informer => informer.synced)).then(() => syncTask.finish());
  const leadership = createLeadership({
    ...common,
    client,
    namespace,
    name: 'weft-canary',
    identity: `${podName}_${randomUUID().slice(0, 8)}`,
  });
  const writing = { client, fieldManager: 'weft-canary', gate: leadership, clock, log, metrics };
  const reconciler = createCanaryReconciler({
    ...common,
    client,
    canaries,
    related,
    controllerClass: options.canaryClass,
    metricsServer: options.metricsServer === '' ? `http://weft-operator.${namespace}.svc:8091` : options.metricsServer,
    gate: leadership,
    writer: createWriter(writing),
    status: createStatusWriter(writing),
    events: createEventRecorder({
      ...common,
      client,
      gate: leadership,
      instance: podName,
      // A run is told step by step, and the next one in the same words.
      perObject: { burst: 50, refillMs: 30_000 },
      repeatMs: 0,
    }),
  });
  leadership.onChange(leading => {
    if (leading) reconciler.resync();
  });
  const { controller } = reconciler;
  loops.push({ name: 'reconciler canary', health: () => controller.health() });
  loops.push({ name: 'lease', health: () => leadership.health() });
  const working = new AbortController();
  const work = controller.run(working.signal);
  const electing = new AbortController();
  const election = leadership.run(electing.signal);
  shutdown.onStop('lease', () => {
    electing.abort();
    return election;
  });
  shutdown.onStop('reconciler', async () => {
    working.abort();
    await work;
    await reconciler.close();
  });
  log.info('canaries started', { version: VERSION, adminPort });
  return { readiness, adminPort, leading: () => leadership.mayWrite(), stop: reason => shutdown.stop(reason) };
}
