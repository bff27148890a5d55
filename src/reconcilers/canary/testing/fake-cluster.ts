// A cluster in memory under a virtual clock: the API as far as a Canary uses it, pods that take their time, and proxies that acknowledge a split.
import { apiErrorFrom } from '../../../kube/api-error.ts';
import type { ApiClient, ApiRequest, RawObject } from '../../../kube/index.ts';
import { isRecord } from '../../../kube/index.ts';
import { record, records, replicasOf, specOf, templateOf, text } from '../deployment.ts';

type Json = Record<string, unknown>;

export interface FakeCluster {
  readonly client: Pick<ApiClient, 'request'>;
  nowMs: number;
  /** Images whose pods never become available, of all Deployments or (`name image`) of one. */
  readonly broken: Set<string>;
  /** Whether proxies take up splits. */
  programmed: boolean;
  /** Writes so far, one line each. */
  readonly writes: string[];
  /** The write of that number fails: before it took place, or after. */
  crash: { readonly at: number; readonly when: 'before' | 'after' } | undefined;
  create(object: RawObject): void;
  get(kind: string, name: string): RawObject | undefined;
  /** Merges into an object, as a user's patch. */
  merge(kind: string, name: string, patch: object): void;
  /** Marks for deletion; gone at once when nothing holds it. */
  delete(kind: string, name: string): void;
  /** Lets pods and proxies come as far as they are by now. */
  settle(): void;
}

const POD_MS = 3_000;

export function createFakeCluster(): FakeCluster {
  const objects = new Map<string, Json>();
  const applied = new Map<string, Json>();
  const changedMs = new Map<string, number>();
  let uids = 0;
  const idOf = (path: string): string => path.split('/').slice(-2).join('/');
  const idFor = (kind: string, name: string): string => `${PLURALS[kind] ?? kind}/${name}`;

  function store(id: string, next: Json): void {
    const before = objects.get(id);
    const meta = record(before?.['metadata']);
    const specChanged = JSON.stringify(before?.['spec']) !== JSON.stringify(next['spec']);
    const generation = Number(meta['generation'] ?? 0) + (specChanged || before === undefined ? 1 : 0);
    const uid = text(meta['uid']) || `uid-${++uids}`;
    if (generation !== meta['generation']) changedMs.set(id, cluster.nowMs);
    objects.set(id, { ...next, metadata: { ...record(next['metadata']), uid, generation } });
    collect(id);
  }

  /** What is marked for deletion goes when no finalizer holds it, and what it owns goes with it. */
  function collect(id: string): void {
    const { metadata } = objects.get(id) ?? {};
    const { deletionTimestamp, finalizers, uid } = record(metadata);
    if (deletionTimestamp === undefined || (Array.isArray(finalizers) && finalizers.length > 0)) return;
    objects.delete(id);
    for (const [other, object] of objects)
      if (records(record(object['metadata'])['ownerReferences']).some(owner => owner['uid'] === uid))
        objects.delete(other);
  }

  function write(line: string, act: () => void): void {
    cluster.writes.push(line);
    const { crash } = cluster;
    const hit = crash?.at === cluster.writes.length;
    if (hit && crash.when === 'before') throw new Error(`crash before ${line}`);
    act();
    if (hit) throw new Error(`crash after ${line}`);
  }

  function patch({ path, contentType, body }: ApiRequest): unknown {
    const isStatus = path.endsWith('/status');
    const id = idOf(isStatus ? path.slice(0, -'/status'.length) : path);
    const before = objects.get(id) ?? {};
    if (contentType === 'application/json-patch+json') {
      const last = (body as { op: string; value: unknown }[]).at(-1);
      const metadata = { ...record(before['metadata']), finalizers: last?.value };
      write(`finalizers ${id}`, () => store(id, { ...before, metadata }));
      return objects.get(id);
    }
    const wanted = structuredClone(body) as Json;
    if (isStatus) {
      write(`status ${id}`, () => objects.set(id, { ...before, status: wanted['status'] }));
      return objects.get(id);
    }
    if (objects.has(id) && wanted['kind'] === undefined) throw new Error(`no kind in ${path}`);
    write(`apply ${id}`, () => {
      const kept = without(before, applied.get(id) ?? {}, wanted);
      applied.set(id, wanted);
      store(id, merged(kept, wanted));
    });
    return objects.get(id);
  }

  const cluster: FakeCluster = {
    client: {
      request: async request => {
        await Promise.resolve();
        if (request.method === 'PATCH') return patch(request);
        if (request.method !== 'GET') throw new Error(`not served here: ${request.method} ${request.path}`);
        const found = objects.get(idOf(request.path));
        if (found === undefined) throw apiErrorFrom(404, request.path, '{"reason":"NotFound"}');
        return structuredClone(found);
      },
    },
    nowMs: 0,
    broken: new Set(),
    programmed: true,
    writes: [],
    crash: undefined,
    create: object => store(idFor(object.kind, object.metadata.name), structuredClone(object)),
    get: (kind, name) => objects.get(idFor(kind, name)) as unknown as RawObject | undefined,
    merge: (kind, name, change) => {
      const id = idFor(kind, name);
      store(id, merged(objects.get(id) ?? {}, structuredClone(change) as Json));
    },
    delete: (kind, name) => {
      const id = idFor(kind, name);
      const object = objects.get(id) ?? {};
      store(id, { ...object, metadata: { ...record(object['metadata']), deletionTimestamp: 'now' } });
    },
    settle: () => {
      for (const [id, object] of objects) {
        if (id.startsWith('deployments/')) object['status'] = podsOf(id, object as unknown as RawObject);
        if (id.startsWith('trafficsplits/') && cluster.programmed) object['status'] = acknowledged(object);
      }
    },
  };

  function podsOf(id: string, deployment: RawObject): Json {
    const desired = replicasOf(deployment);
    const images = records(record(templateOf(deployment)['spec'])['containers']).map(({ image }) => text(image));
    const ready = cluster.nowMs - (changedMs.get(id) ?? 0) >= POD_MS;
    const works =
      ready &&
      !images.some(image => cluster.broken.has(image) || cluster.broken.has(`${deployment.metadata.name} ${image}`));
    return {
      observedGeneration: deployment.metadata['generation'],
      replicas: desired,
      updatedReplicas: desired,
      availableReplicas: works ? desired : 0,
    };
  }

  return cluster;
}

function acknowledged(split: Json): Json {
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: type,
    message: '',
    observedGeneration: record(split['metadata'])['generation'],
  });
  return { conditions: ['Accepted', 'ResolvedRefs', 'Programmed'].map(condition) };
}

const PLURALS: Readonly<Record<string, string>> = {
  Canary: 'canaries',
  MetricTemplate: 'metrictemplates',
  Deployment: 'deployments',
  Service: 'services',
  ConfigMap: 'configmaps',
  Secret: 'secrets',
  HorizontalPodAutoscaler: 'horizontalpodautoscalers',
  TrafficSplit: 'trafficsplits',
  HTTPRouteGroup: 'httproutegroups',
};

/** Maps are merged, all else is replaced. */
function merged(before: Json, change: Json): Json {
  const next: Json = { ...before };
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete next[name];
    else next[name] = isRecord(value) && name !== 'selector' ? merged({ ...record(next[name]) }, { ...value }) : value;
  }
  return next;
}

/** Without what the same writer said before and says no more. */
function without(current: Json, before: Json, after: Json): Json {
  const next: Json = { ...current };
  for (const [name, value] of Object.entries(before)) {
    if (!(name in after)) delete next[name];
    else if (isRecord(value)) next[name] = without({ ...record(next[name]) }, { ...value }, { ...record(after[name]) });
  }
  return next;
}

export const imageOf = (deployment: RawObject | undefined): string =>
  text(records(record(record(specOf(deployment)['template'])['spec'])['containers'])[0]?.['image']);
