// The operator as a whole: what is made, what depends on what, in which order it starts and stops. Start: stores in sync -> issuers -> first
// compilation -> listeners -> ready. Stop: the reverse, under one deadline.
import { randomUUID } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node';
import type { CompileOptions } from '../compile/index.ts';
import { createConfigServer } from '../configserver/index.ts';
import { createIdentity } from '../identity/index.ts';
import { createApiClient, createLeadership, createTokenReviewer, isRecord } from '../kube/index.ts';
import {
  createCallers,
  createClientCa,
  createOperatorApi,
  createQueryApi,
  createReviews,
  fetchMetrics,
} from '../operatorapi/index.ts';
import { createPeers, membersOf } from '../peers/index.ts';
import { createFeed } from '../reconcilers/mesh-config/index.ts';
import { createPublisher } from '../reconcilers/publisher/index.ts';
import { createServingSource } from '../reconcilers/webhook-config/index.ts';
import { type Clock, createReadiness, createShutdown, type Logger, type Readiness, sleep } from '../runtime/index.ts';
import { createSignals, type PromMetrics } from '../telemetry/index.ts';
import { createWebhookServer } from '../webhooks/index.ts';
import { HOST, type Loop, startAdmin } from './admin.ts';
import type { Options } from './options.ts';
import { createReconcilers } from './reconcilers.ts';
import { createSnapshots, onCompileInput, WatchingOperator } from './stores.ts';
import { VERSION } from './version.ts';
import { webhookPorts } from './webhook-ports.ts';

export interface OperatorOptions {
  readonly options: Options;
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: PromMetrics;
  readonly random: () => number;
}

export interface RunningOperator {
  readonly readiness: Readiness;
  /** Ports in use, for options that say 0. */
  readonly ports: Readonly<Record<'config' | 'webhook' | 'api' | 'query' | 'admin' | 'peers', number>>;
  /** Whether this replica writes. */
  leading(): boolean;
  /** Looks at everything again, as after a change of leader. */
  resync(): void;
  /** Names of what did not stop in time. */
  stop(reason: string): Promise<readonly string[]>;
}

/** A mesh without an issuer must not keep the operator from judging objects and telling what is missing. */
const IDENTITY_GRACE_MS = 30_000;

export async function startOperator(input: OperatorOptions): Promise<RunningOperator> {
  const { options, kubeConfig, clock, log, metrics, random } = input;
  const { controllers, namespace, clusterDomain } = options;
  const readiness = createReadiness();
  const shutdown = createShutdown({ clock, log, deadlineMs: options.shutdownMs });
  const { signal } = shutdown;
  const common = { clock, log, metrics, random };

  const storesTask = readiness.task('stores', 'first list of every kind');
  const compileTask = readiness.task('compile');
  const listenTask = readiness.task('listeners');
  const client = createApiClient({ kubeConfig, userAgent: `weft-operator/${VERSION}` });
  const operator = new WatchingOperator({
    ...common,
    kubeConfig,
    client,
    fieldManager: 'weft-operator',
    namespace,
    watchNamespaces: options.watchNamespaces,
  });
  const loops: Loop[] = [];
  const adminPort = await startAdmin({
    port: options.adminPort,
    metrics,
    readiness,
    shutdown,
    clock,
    log,
    watching: operator,
    loops,
  });

  await operator.start();
  shutdown.onStop('informers', () => {
    operator.stop();
    return operator.stopped();
  });
  const { stores } = operator;
  for (const informer of operator.informers) {
    const task = readiness.task(`store ${informer.name}`);
    void informer.synced.then(() => task.finish());
  }
  storesTask.finish();
  const synced = Promise.all(operator.informers.map(informer => informer.synced));
  // A stop while the API server is away must not wait for it.
  await Promise.race([synced, new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))]);

  const account = { namespace, serviceAccount: 'weft-operator' };
  const identity = createIdentity({ clock, log, controlNamespace: namespace, account, random });
  shutdown.onStop('identity', () => identity.close());
  const feed = createFeed({ meshConfigs: stores.meshConfigs, secrets: stores.issuerSecrets }, identity.issuers, () =>
    clock.nowMs(),
  );
  stores.meshConfigs.onChange(feed);
  stores.issuerSecrets.onChange(feed);
  feed();

  const compileOptions = (): Omit<CompileOptions, 'nowMs'> => ({
    clusterDomain,
    controlNamespace: namespace,
    trust: identity.issuers.trust(),
  });
  const snapshot = createSnapshots(stores.snapshot);
  const publisher = createPublisher({ snapshot, compileOptions, clock, log, metrics });
  shutdown.onStop('publisher', () => publisher.close());
  loops.push({ name: 'publisher', health: () => publisher.health() });
  publisher.onPublish(() => compileTask.finish());
  onCompileInput(stores.snapshot, () => publisher.request());
  identity.issuers.onChange(() => publisher.request());
  publisher.request();
  // The first publication runs before the next turn of the event loop.
  await new Promise(setImmediate);

  let members: ReturnType<typeof membersOf> = [];
  const signals = createSignals({
    clock,
    metrics,
    own: who => {
      const body = publisher.resource(who, 'workload')?.body;
      return body?.kind === 'workload' ? body.workload.labels : [];
    },
    others: () => members.map(({ replica }) => replica),
  });
  shutdown.onStop('signals', () => signals.close());
  const configServer = createConfigServer({
    reports: signals.sink,
    source: publisher,
    authenticator: createTokenReviewer({ client, audience: 'weft.dev', clock, metrics }),
    certify: identity.certify,
    certificates: identity.own,
    clock,
    log,
    metrics,
  });
  const peers = createPeers({
    ...common,
    replica: options.podName,
    version: VERSION,
    own: configServer.registry,
    source: publisher,
    leaves: identity.own,
    issuers: identity.issuers,
    account,
    shed: count => configServer.shed(count),
  });
  shutdown.onStop('peers', () => peers.close());
  const { registry } = peers;
  const onSlices = (): void => {
    const slices = stores.snapshot.endpointSlices.snapshot().values();
    members = membersOf(slices, { namespace, service: options.peersServiceName, self: options.podName });
    peers.expect(members);
  };
  stores.snapshot.endpointSlices.onChange(({ before, after }) => {
    if ([before, after].some(slice => slice?.service === options.peersServiceName)) onSlices();
  });
  onSlices();
  const leadership = createLeadership({
    ...common,
    client,
    namespace,
    name: 'weft-operator',
    identity: `${options.podName}_${randomUUID().slice(0, 8)}`,
  });
  const reconcilers = createReconcilers({
    ...common,
    options,
    client,
    stores,
    identity,
    publisher,
    registry,
    snapshot: () => publisher.current()?.snapshot ?? snapshot(),
    gate: leadership,
  });
  const resync = (): void => {
    for (const reconciler of reconcilers) reconciler.resync();
  };
  leadership.onChange(leading => {
    if (leading) resync();
  });
  registry.onChange(() => {
    // Only a rotation under way depends on what proxies say.
    const meshes = [...stores.meshConfigs.snapshot().values()];
    const waiting = meshes.some(({ identity: { phase } }) => phase === 'Trusting' || phase === 'Renewing');
    if (waiting) reconcilers.find(({ controller }) => controller.name === 'mesh-config')?.resync();
  });
  for (const { controller } of reconcilers)
    loops.push({ name: `reconciler ${controller.name}`, health: () => controller.health() });
  loops.push({ name: 'lease', health: () => leadership.health() });
  const working = new AbortController();
  const work = Promise.all(reconcilers.map(({ controller }) => controller.run(working.signal)));
  const electing = new AbortController();
  const election = reconcilers.length === 0 ? Promise.resolve() : leadership.run(electing.signal);
  // Reverse order: the reconcilers end first, so that the lease is given up with nothing under way.
  shutdown.onStop('lease', () => {
    electing.abort();
    return election;
  });
  shutdown.onStop('reconcilers', async () => {
    working.abort();
    await work;
  });

  const serving = createServingSource(stores.webhooks, namespace);
  const servingTask = readiness.task('serving certificate', `Secret weft-webhook-tls in ${namespace}`);
  const onServing = (): void => {
    if (serving.current() !== undefined) servingTask.finish();
  };
  serving.onChange(onServing);
  onServing();
  if (!controllers.has('webhooks') && !controllers.has('api')) servingTask.finish();

  const ports = { config: 0, webhook: 0, api: 0, query: 0, admin: adminPort, peers: 0 };
  if (controllers.has('config')) {
    shutdown.onStop('config server', deadline => configServer.close(deadline.aborted ? 0 : options.shutdownMs / 2));
    // Closed by its own step, which drains; an aborted signal would cut.
    ports.peers = await peers.listen({ host: HOST, port: options.peersPort });
    ports.config = await configServer.listen({ host: HOST, port: options.configPort }, new AbortController().signal);
  }
  if (controllers.has('webhooks')) {
    const webhooks = createWebhookServer({
      ...webhookPorts({
        client,
        stores,
        issuers: identity.issuers,
        options,
        nativeSidecar: await hasNativeSidecars(client, log, signal),
        snapshot: () => publisher.current()?.snapshot ?? snapshot(),
        compileOptions: () => ({ ...compileOptions(), nowMs: clock.nowMs() }),
      }),
      certificate: serving,
      clock,
      log,
      metrics,
    });
    shutdown.onStop('webhooks', () => webhooks.close());
    ports.webhook = await webhooks.listen({ host: HOST, port: options.webhookPort }, new AbortController().signal);
  }
  if (controllers.has('api')) {
    const clientCa = createClientCa({ api: client, logger: log, refreshMs: 60_000 });
    const reviews = createReviews({ api: client, maxOpen: 50 });
    const api = createOperatorApi({
      port: options.apiPort,
      host: HOST,
      version: VERSION,
      replica: options.podName,
      controlNamespace: namespace,
      ...reviews,
      registry,
      config: publisher,
      issuers: identity.issuers,
      snapshot: () => publisher.current()?.snapshot ?? snapshot(),
      findings: () => publisher.current() ?? { statuses: new Map(), problems: [] },
      readiness,
      fetchMetrics,
      clock,
      logger: log,
      servingCertificate: serving,
      clientCa,
    });
    const query = createQueryApi({
      port: options.queryPort,
      host: HOST,
      reader: signals.reader,
      ...reviews,
      identify: createCallers(options.queryAllow, () => stores.snapshot.pods.snapshot().values()),
      clock,
      logger: log,
      servingCertificate: serving,
      clientCa,
    });
    shutdown.onStop('query API', () => query.close());
    ports.query = await query.listen();
    shutdown.onStop('operator API', () => {
      clientCa.close();
      return api.close();
    });
    ports.api = await api.listen();
  }
  listenTask.finish();
  signal.addEventListener('abort', () => listenTask.reopen('shutting down'), { once: true });
  waitForIdentity();
  log.info('operator started', { version: VERSION, controllers: [...controllers], ports });
  return { readiness, ports, leading: () => leadership.mayWrite(), resync, stop: reason => shutdown.stop(reason) };

  /** Proxies cannot connect before the operator has a certificate of its own, so "ready" waits for the first; but not for ever. */
  function waitForIdentity(): void {
    const task = readiness.task(
      'identity',
      'no mesh has an issuer yet; see the condition IssuerReady of its MeshConfig',
    );
    const look = (): void => {
      if (identity.own.meshes().length > 0 || stores.meshConfigs.size === 0) task.finish();
    };
    identity.own.onChange(look);
    look();
    void sleep(IDENTITY_GRACE_MS, signal).then(() => task.finish());
  }
}

/** Since Kubernetes 1.29 init containers with restartPolicy Always are on by default. */
async function hasNativeSidecars(
  client: ReturnType<typeof createApiClient>,
  log: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const version = await client.request({ method: 'GET', path: '/version', signal });
    const { major, minor } = isRecord(version) ? version : {};
    const number = (text: unknown): number => Number.parseInt(typeof text === 'string' ? text : '', 10);
    return number(major) > 1 || number(minor) >= 29;
  } catch (err) {
    log.warn('version of the API server is not readable; taking it for a recent one', { err });
    return true;
  }
}
