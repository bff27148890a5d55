import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFrames } from '../configserver/frames.ts';
import { createTopics } from '../configserver/topics.ts';
import { wireCodec } from '../configserver/wire-codec.ts';
import { podKey } from '../kernel/index.ts';
import { createStore, type WritableStore } from '../kube/store.ts';
import { DECODERS, type SnapshotField, WATCHED_KINDS } from '../model/index.ts';
import { createPublisher } from '../reconcilers/publisher/index.ts';
import { silentLogger, silentMetrics } from '../runtime/index.ts';
import { createSnapshots, onCompileInput, type Stores } from './stores.ts';

type Json = Readonly<Record<string, unknown>>;

const mesh: Json = { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata: { name: 'default' } };
const demo = (name: string, rest: Json = {}) => ({ name, namespace: 'demo', ...rest });
const pod = (name: string, ip: string): Json => ({
  kind: 'Pod',
  metadata: demo(name, { labels: { app: name, 'weft.dev/proxy': 'default' } }),
  spec: {},
  status: { phase: 'Running', podIPs: [{ ip }] },
});
const service = (name: string, clusterIP: string): Json => ({
  kind: 'Service',
  metadata: demo(name),
  spec: { clusterIP, selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});
const slice = (name: string, ...ips: readonly string[]): Json => ({
  kind: 'EndpointSlice',
  metadata: demo(name, { labels: { 'kubernetes.io/service-name': name } }),
  addressType: 'IPv4',
  ports: [{ name: '', port: 8080 }],
  endpoints: ips.map(ip => ({ addresses: [ip], conditions: { ready: true } })),
});

const NAMES = [
  'workload',
  'outbound/10.96.0.1:80',
  'endpoints/demo/a:80',
  'outbound/10.96.0.2:80',
  'endpoints/demo/b:80',
];

/** Everything between a watch event and the bytes that proxies are sent. */
function aPipeline() {
  const stores = Object.fromEntries(WATCHED_KINDS.map(({ field }) => [field, createStore()])) as unknown as {
    readonly [F in SnapshotField]: WritableStore<unknown>;
  };
  const snapshotStores = stores as unknown as Stores['snapshot'];
  const publisher = createPublisher({
    snapshot: createSnapshots(snapshotStores),
    compileOptions: () => ({ clusterDomain: 'cluster.local', controlNamespace: 'weft-system', trust: new Map() }),
    clock: { nowMs: () => Date.now() },
    log: silentLogger,
    metrics: silentMetrics,
  });
  onCompileInput(snapshotStores, () => publisher.request());
  let version = 0;
  const apply = (...objects: readonly Json[]): void => {
    for (const object of objects) {
      const field = WATCHED_KINDS.find(({ kind }) => kind === object['kind'])?.field;
      const resourceVersion = `${++version}`;
      const metadata = { ...(object['metadata'] as Json), resourceVersion };
      const decoded = field === undefined ? undefined : DECODERS[field]({ ...object, metadata });
      if (field === undefined || decoded?.ok !== true) throw new Error('the object of this test can be decoded');
      stores[field].set(decoded.value.key, { value: decoded.value, resourceVersion });
    }
  };
  return { publisher, apply };
}

describe('a publication', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function subscribed() {
    const { publisher, apply } = aPipeline();
    const services = [service('a', '10.96.0.1'), service('b', '10.96.0.2')];
    apply(mesh, pod('client', '10.1.0.9'), ...services, slice('a', '10.1.0.1'), slice('b', '10.1.0.2'));
    await vi.advanceTimersByTimeAsync(50);
    const who = publisher.view(podKey('demo', 'client'));
    if (who === undefined) throw new Error('the pod of this test has a mesh');
    let encodes = 0;
    const frames = createFrames({ codec: wireCodec, maxBytes: 1_000_000, onEncode: () => encodes++ });
    const topics = createTopics(publisher);
    const held = NAMES.map(name => topics.of(who, name));
    const send = () =>
      topics.refresh().map(topic => {
        if (topic.resource !== undefined) frames.upsert(topic.resource);
        return topic.name;
      });
    for (const { resource } of held) if (resource !== undefined) frames.upsert(resource);
    expect(encodes).toBe(NAMES.length);
    return {
      publisher,
      /** Applies, publishes, sends; what was sent anew, how much was encoded, and which resources are other objects than before. */
      change: async (...objects: readonly Json[]) => {
        const [before, encoded] = [held.map(({ resource }) => resource), encodes];
        apply(...objects);
        await vi.advanceTimersByTimeAsync(50);
        const sent = send();
        const made = held.filter(({ resource }, index) => resource !== before[index]).map(({ name }) => name);
        return { sent, made, encodes: encodes - encoded, generation: publisher.generation };
      },
    };
  }

  it('after an endpoint has come renders and encodes the endpoints of its Service alone', async () => {
    const { publisher, change } = await subscribed();
    const only = ['endpoints/demo/a:80'];
    expect(await change(slice('a', '10.1.0.1', '10.1.0.3'))).toEqual({
      sent: only,
      made: only,
      encodes: 1,
      generation: 2,
    });
    publisher.close();
  });

  it('renders nothing again for objects of which only status or resource version changed', async () => {
    const { publisher, change } = await subscribed();
    const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: '2 of 2', observedGeneration: 1 };
    const unseen = await change({ ...mesh, status: { conditions: [condition] } }, pod('client', '10.1.0.9'));
    expect(unseen).toEqual({ sent: [], made: [], encodes: 0, generation: 1 });
    const only = ['endpoints/demo/b:80'];
    expect(await change(slice('b', '10.1.0.4'), slice('a', '10.1.0.1'))).toEqual({
      sent: only,
      made: only,
      encodes: 1,
      generation: 2,
    });
    publisher.close();
  });

  it('renders everything again that a mesh-wide setting decides', async () => {
    const { publisher, change } = await subscribed();
    const { made, sent } = await change({ ...mesh, spec: { opaquePorts: '80', unknownDestination: 'Refuse' } });
    expect(made).toEqual(NAMES);
    expect(sent).toEqual(['workload', 'outbound/10.96.0.1:80', 'outbound/10.96.0.2:80']);
    publisher.close();
  });
});
