// A cluster with an API server and etcd only, and what a large application would have written to it: nodes, namespaces, Services with their
// EndpointSlices, pods that look as if injection had made them.
import type { KeyObject } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RawObject } from '../../src/kube/index.ts';
import { eventually, forever, startTestApi, type TestApi } from '../../src/kube/testing/api-server.ts';
import { clusterPaths } from '../../e2e/cluster/paths.ts';
import { parse } from 'yaml';
import { boundToken, signingKey } from './tokens.ts';
import type { ProxySpec } from './worker-methods.ts';

const CRDS = join(import.meta.dirname, '../../crds');
const MESHES = '/apis/weft.dev/v1alpha1/meshconfigs';
const NAMESPACES = 20;
const NODES = 50;
const ZONES = 3;
const AT_ONCE = 24;
const NEIGHBOURS = 5;
/** What every proxy holds: a Service under a TrafficSplit. */
export const HOT = { namespace: 'scale-0', name: 'hot', other: 'hot-next' } as const;

export interface Size {
  readonly services: number;
  readonly podsPerService: number;
}

export interface ScaleCluster {
  readonly api: TestApi;
  readonly kubeconfig: string;
  /** Names of the resources of the Service that everybody calls. */
  readonly hot: { readonly outbound: string; readonly endpoints: string };
  /** Pods with their tokens and what their applications call. */
  readonly proxies: readonly ProxySpec[];
  readonly serviceCount: number;
  /** More pods of the same Services; they enter no EndpointSlice. */
  grow(count: number): Promise<void>;
  /** Sets the weight of the Service's second version. */
  setWeight(weight: number): Promise<void>;
  /** Replaces one address of a Service's slice; `hot` is -1. */
  setAddress(service: number, address: string): Promise<void>;
}

interface ScaleService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIp: string;
}

const inLanes = async (count: number, work: (index: number) => Promise<void>): Promise<void> => {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
};

const namespaceOf = (index: number): string => `scale-${index % NAMESPACES}`;

/** `onStarted` is called when the API server runs and nothing is written yet. */
export async function startScaleCluster(
  name: string,
  size: Size,
  onStarted: () => Promise<void>,
): Promise<ScaleCluster> {
  const api = await startTestApi(name);
  await onStarted();
  const paths = clusterPaths(name);
  const key = signingKey(await readFile(join(paths.certificates, 'sa.key'), 'utf8'));
  const accounts = await prepare(api);
  const services: ScaleService[] = Array.from({ length: size.services }, () => ({
    namespace: '',
    name: '',
    clusterIp: '',
  }));
  await inLanes(size.services, async index => {
    services[index] = await makeService(api, namespaceOf(index), `app-${index}`);
  });
  const hot = await makeService(api, HOT.namespace, HOT.name);
  await makeService(api, HOT.namespace, HOT.other);
  const writer = new Writer(api, key, { services, accounts });
  await writer.addPods(size.services * size.podsPerService);
  await inLanes(size.services, index => writer.makeSlice(index, size.podsPerService));
  await writer.makeHotSlices();
  await api.post(`/apis/split.smi-spec.io/v1alpha4/namespaces/${HOT.namespace}/trafficsplits`, {
    apiVersion: 'split.smi-spec.io/v1alpha4',
    kind: 'TrafficSplit',
    metadata: { name: HOT.name },
    spec: { service: HOT.name, backends: backends(0) },
  });
  const shared = [
    `outbound/${hot.clusterIp}:80`,
    `endpoints/${HOT.namespace}/${HOT.name}:80`,
    `endpoints/${HOT.namespace}/${HOT.other}:80`,
  ];
  const namesOf = (index: number): readonly string[] => [
    ...shared,
    ...Array.from({ length: NEIGHBOURS }, (_, step) => services[(index * 7 + step * 13) % services.length]).flatMap(
      service =>
        service === undefined
          ? []
          : [`outbound/${service.clusterIp}:80`, `endpoints/${service.namespace}/${service.name}:80`],
    ),
  ];
  return {
    api,
    kubeconfig: paths.kubeconfig,
    hot: { outbound: shared[0] ?? '', endpoints: shared[1] ?? '' },
    get proxies() {
      return writer.tokens.map((token, index) => ({ token, names: namesOf(index) }));
    },
    serviceCount: size.services,
    grow: count => writer.addPods(count),
    setWeight: async weight =>
      void (await api.merge(`/apis/split.smi-spec.io/v1alpha4/namespaces/${HOT.namespace}/trafficsplits/${HOT.name}`, {
        spec: { backends: backends(weight) },
      })),
    setAddress: (service, address) => writer.setAddress(service, address),
  };
}

const backends = (weight: number): object[] => [
  { service: HOT.name, weight: 1_000 - weight },
  { service: HOT.other, weight },
];

/** Kinds, namespaces with the account of their pods, nodes, the mesh. Answers with the accounts' ids. */
async function prepare(api: TestApi): Promise<readonly string[]> {
  for (const file of await readdir(CRDS)) {
    await api.post(
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      parse(await readFile(join(CRDS, file), 'utf8')),
    );
  }
  const namespace = (name: string): Promise<RawObject> =>
    api.post('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, annotations: name.startsWith('scale-') ? { 'weft.dev/inject': 'enabled' } : {} },
    });
  await namespace('weft-system');
  const accounts: string[] = [];
  for (let index = 0; index < NAMESPACES; index += 1) {
    await namespace(namespaceOf(index));
    const account = await api.post(`/api/v1/namespaces/${namespaceOf(index)}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'app' },
    });
    accounts.push(account.metadata.uid ?? '');
  }
  await inLanes(NODES, async index => {
    await api.post('/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `node-${index}`, labels: { 'topology.kubernetes.io/zone': `zone-${index % ZONES}` } },
    });
  });
  await eventually('the definitions are served', () =>
    Promise.all([api.get(MESHES), api.get('/apis/split.smi-spec.io/v1alpha4/trafficsplits')]).then(
      () => true,
      () => false,
    ),
  );
  await api.post(MESHES, {
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'MeshConfig',
    metadata: { name: 'default' },
    spec: { trustDomain: 'scale.example', identity: { mode: 'SelfManaged' } },
  });
  return accounts;
}

async function makeService(api: TestApi, namespace: string, name: string): Promise<ScaleService> {
  const made = await api.post(`/api/v1/namespaces/${namespace}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: { app: name } },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  });
  const spec = made['spec'] as { readonly clusterIP: string };
  return { namespace, name, clusterIp: spec.clusterIP };
}

interface Known {
  readonly services: readonly ScaleService[];
  readonly accounts: readonly string[];
}

interface ScalePod {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly node: string;
}

class Writer {
  readonly tokens: string[] = [];
  readonly #pods: ScalePod[] = [];
  readonly #api: TestApi;
  readonly #key: KeyObject;
  readonly #known: Known;
  readonly #slices = new Map<number, { readonly path: string; readonly endpoints: object[] }>();

  constructor(api: TestApi, key: KeyObject, known: Known) {
    this.#api = api;
    this.#key = key;
    this.#known = known;
  }

  async addPods(count: number): Promise<void> {
    const from = this.#pods.length;
    await inLanes(count, index => this.#addPod(from + index));
  }

  async #addPod(index: number): Promise<void> {
    const service = this.#known.services[index % this.#known.services.length];
    if (service === undefined) throw new Error('a cluster without Services has no pods');
    const { namespace } = service;
    const pod = {
      name: `${service.name}-6d4cf56db6-${index}`,
      ip: `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
      node: `node-${index % NODES}`,
    };
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const made = await this.#api.post(path, podBody(service.name, pod));
    const uid = made.metadata.uid ?? '';
    await this.#api.client.request({
      method: 'PATCH',
      path: `${path}/${pod.name}/status`,
      body: { status: runningStatus(pod.ip) },
      contentType: 'application/merge-patch+json',
      signal: forever,
    });
    this.#pods[index] = { ...pod, uid };
    this.tokens[index] = boundToken(
      this.#key,
      {
        namespace,
        name: pod.name,
        uid,
        serviceAccount: 'app',
        serviceAccountUid: this.#known.accounts[Number(namespace.slice('scale-'.length))] ?? '',
      },
      Math.floor(Date.now() / 1_000) - 5,
    );
  }

  async makeSlice(index: number, pods: number): Promise<void> {
    const service = this.#known.services[index];
    const { length } = this.#known.services;
    const members = Array.from({ length: pods }, (_, turn) => this.#pods[index + turn * length]);
    if (service !== undefined) await this.#post(index, service, members);
  }

  /** The pods of the Service that everybody calls are those of the first twenty Services, so that its list has a usual length. */
  async makeHotSlices(): Promise<void> {
    const members = this.#pods.slice(0, 20);
    await this.#post(-1, { namespace: HOT.namespace, name: HOT.name }, members);
    await this.#post(-2, { namespace: HOT.namespace, name: HOT.other }, members.slice(0, 5));
  }

  async #post(
    index: number,
    { namespace, name }: Pick<ScaleService, 'namespace' | 'name'>,
    pods: readonly (ScalePod | undefined)[],
  ): Promise<void> {
    const endpoints = pods.flatMap(pod =>
      pod === undefined
        ? []
        : [
            {
              addresses: [pod.ip],
              conditions: { ready: true, serving: true, terminating: false },
              nodeName: pod.node,
              targetRef: { kind: 'Pod', namespace, name: pod.name, uid: pod.uid },
            },
          ],
    );
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    await this.#api.post(path, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-x7k2p`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints,
    });
    this.#slices.set(index, { path: `${path}/${name}-x7k2p`, endpoints });
  }

  async setAddress(index: number, address: string): Promise<void> {
    const slice = this.#slices.get(index);
    if (slice === undefined) throw new Error(`there is no Service ${index}`);
    const endpoints = [...slice.endpoints.slice(0, -1), { addresses: [address], conditions: { ready: true } }];
    await this.#api.merge(slice.path, { endpoints });
  }
}

/** With what a pod of a usual application carries: a large part of an API object is read by nobody here. */
function podBody(app: string, { name, node }: { readonly name: string; readonly node: string }): object {
  const env = Array.from({ length: 12 }, (_, index) => ({
    name: `SETTING_${index}`,
    value: `value-${index}-of-${app}`,
  }));
  const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 10 };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: {
        app,
        'app.kubernetes.io/name': app,
        'app.kubernetes.io/part-of': 'scale',
        'pod-template-hash': '6d4cf56db6',
        'weft.dev/proxy': 'default',
      },
      annotations: { 'prometheus.io/scrape': 'true', 'checksum/config': 'f'.repeat(64) },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-6d4cf56db6`,
          uid: '00000000-0000-4000-8000-000000000001',
          controller: true,
        },
      ],
    },
    spec: {
      nodeName: node,
      serviceAccountName: 'app',
      initContainers: [{ name: 'weft-proxy', image: 'localhost/weft-proxy:1', restartPolicy: 'Always' }],
      containers: [
        {
          name: 'app',
          image: 'localhost/app:1',
          env,
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: probe,
          livenessProbe: probe,
          resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '128Mi' } },
        },
      ],
    },
  };
}

function runningStatus(ip: string): object {
  const conditions = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(type => ({
    type,
    status: 'True',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }));
  return { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions };
}
