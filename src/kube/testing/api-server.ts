// A real kube-apiserver with its etcd for the API tests of this folder and of the reconcilers.
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { apiOnly, clusterDown, type Component, component } from '../../../e2e/cluster/index.ts';
import { type ApiClient, createApiClient } from '../api-client.ts';
import { resourcePath } from '../resource-type.ts';
import type { RawObject } from '../raw-object.ts';

export interface TestApi {
  readonly kubeConfig: KubeConfig;
  readonly client: ApiClient;
  readonly apiServer: Component;
  readonly etcd: EtcdTools;
  /** As another person would: create, replace, read and delete by plain requests. */
  post(path: string, body: unknown): Promise<RawObject>;
  get(path: string): Promise<RawObject>;
  merge(path: string, body: unknown): Promise<RawObject>;
  delete(path: string): Promise<void>;
}

/** etcd's own HTTP gateway, for what happens behind the API server's back. */
export interface EtcdTools {
  /** Removes a key, e.g. `/registry/configmaps/default/a`. */
  deleteKey(key: string): Promise<void>;
  /** Forgets all history: watches from earlier versions are refused from now on. */
  compact(): Promise<void>;
}

export const forever = new AbortController().signal;

/** Of this test file, from before their first process on. */
const started = new Set<string>();

/** Clusters of the same name must not be used by two test files. `afterAll` must call {@link stopTestApis}. */
export async function startTestApi(name: string, options: { readonly audit?: boolean } = {}): Promise<TestApi> {
  started.add(name);
  const server = await apiOnly(name, options);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(server.kubeconfig);
  const client = createApiClient({ kubeConfig, userAgent: 'weft-test' });
  const request = async (
    method: 'POST' | 'GET' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<RawObject> =>
    (await client.request({
      method,
      path,
      ...(body === undefined ? {} : { body }),
      ...(method === 'PATCH' ? { contentType: 'application/merge-patch+json' } : {}),
      signal: forever,
    })) as RawObject;
  return {
    kubeConfig,
    client,
    apiServer: component(name, 'kube-apiserver'),
    etcd: await etcdTools(name),
    post: (path, body) => request('POST', path, body),
    get: path => request('GET', path),
    merge: (path, body) => request('PATCH', path, body),
    delete: async path => void (await request('DELETE', path)),
  };
}

/** Longer than anything that is stopped here takes by its own deadline, shorter than a hook may take. */
const STOP_MS = 60_000;

/**
 * For afterAll: runs `stops`, then stops every API server that this file has started, however far its beforeAll came and whatever fails or hangs
 * before. Rejects with the first failure when all is done.
 */
export async function stopTestApis(...stops: readonly (() => unknown)[]): Promise<void> {
  const clients = Promise.allSettled(stops.map(async stop => void (await stop())));
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), STOP_MS);
  const outcomes = await Promise.race([clients, late.promise]);
  clearTimeout(timer);
  const servers = await Promise.allSettled([...started].map(name => clusterDown(name)));
  started.clear();
  if (outcomes === 'late') throw new Error(`what talks to the API server did not stop within ${STOP_MS} ms`);
  for (const outcome of [...outcomes, ...servers]) if (outcome.status === 'rejected') throw outcome.reason;
}

async function etcdTools(name: string): Promise<EtcdTools> {
  const commandLine = await readFile(`/proc/${await component(name, 'etcd').pid()}/cmdline`, 'utf8');
  const url = /--listen-client-urls=(http:\/\/[0-9.:]+)/.exec(commandLine)?.[1];
  if (url === undefined) throw new Error('the command line of etcd names no client address');
  const call = async (path: string, body: unknown): Promise<{ header: { revision: string } }> => {
    const response = await fetch(`${url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as { header: { revision: string } };
  };
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    deleteKey: async key => void (await call('deleterange', { key: base64(key) })),
    compact: async () => {
      const { header } = await call('range', { key: base64('/registry/') });
      await call('compaction', { revision: header.revision, physical: true });
    },
  };
}

export interface Relay {
  /** Of the API server, by way of the relay. */
  readonly kubeConfig: KubeConfig;
  /** From now on nothing passes on the connections that are there, and nobody is told: what a lost route or a dead load balancer looks like. */
  swallow(): void;
  /** The same for new connections, until told otherwise. */
  swallowNew(on: boolean): void;
  readonly connections: number;
  close(): Promise<void>;
}

/** A TCP relay in front of the API server that can be made a black hole. */
export async function startRelay(api: Pick<TestApi, 'kubeConfig'>): Promise<Relay> {
  const target = new URL(api.kubeConfig.getCurrentCluster()?.server ?? '');
  const open = new Set<{ swallowed: boolean; destroy(): void }>();
  let newOnes = false;
  const server = createServer(client => {
    const upstream = connect(Number(target.port), target.hostname);
    const pair = {
      swallowed: newOnes,
      destroy: () => {
        client.destroy();
        upstream.destroy();
      },
    };
    open.add(pair);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', bytes => void (pair.swallowed || to.write(bytes)));
      from.on('error', () => undefined);
      from.on('close', () => {
        // The end of one side passes as little as its bytes do.
        if (pair.swallowed) return;
        open.delete(pair);
        pair.destroy();
      });
    }
  });
  const port = await new Promise<number>(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(api.kubeConfig.exportConfig().replace(target.host, `127.0.0.1:${port}`));
  return {
    kubeConfig,
    swallow: () => {
      for (const pair of open) pair.swallowed = true;
    },
    swallowNew: on => {
      newOnes = on;
    },
    get connections() {
      return open.size;
    },
    close: async () => {
      for (const pair of open) pair.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** Polls until `probe` answers true; the error says what was waited for. */
export async function eventually(
  what: string,
  probe: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    if (await probe()) return;
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

export const CONFIG_MAPS = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };

export const configMapPath = (name = ''): string => resourcePath(CONFIG_MAPS, { namespace: 'default', name });

export function aConfigMap(name: string, data: Readonly<Record<string, string>> = {}): RawObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

export interface CuttableClient extends ApiClient {
  /** Breaks open watches, and refuses everything until restore(). */
  cut(): void;
  restore(): void;
}

/** A network cable that a test can pull. */
export function cuttable(client: ApiClient): CuttableClient {
  let isCut = false;
  let broken = new AbortController();
  const lost = (): Promise<never> => Promise.reject(new Error('the network is cut'));
  return {
    cut: () => {
      isCut = true;
      broken.abort();
    },
    restore: () => {
      isCut = false;
      broken = new AbortController();
    },
    request: request => (isCut ? lost() : client.request(request)),
    watch: async request => {
      if (isCut) return lost();
      const { signal } = broken;
      await client.watch({ ...request, signal: AbortSignal.any([request.signal, signal]) });
      return signal.aborted ? lost() : undefined;
    },
  };
}
