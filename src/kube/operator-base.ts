// The base class of @dot-i/k8s-operator (life cycle, finalizers, status), made fit for this client-node and for a process that must not die:
//  - getCustomResourceApiUri read a basePath that client-node no longer has;
//  - watchResource never listed again and ended the process on any error; here it is a supervised informer;
//  - finalizers and status were written by another HTTP client, which logged a refusal and went on; here they throw, and finalizers are guarded by
//    the resource version that the caller saw;
//  - registerCustomResourceDefinition looked for the status code of a refusal where it no longer is; here it is a server-side apply, so that
//    registering again is an update.
import { readFile } from 'node:fs/promises';
import type { KubeConfig, KubernetesObject, V1CustomResourceDefinition } from '@kubernetes/client-node';
import operatorModule, {
  type ResourceEvent,
  ResourceEventType,
  type ResourceMeta,
  ResourceMetaImpl,
} from '@dot-i/k8s-operator';
import { parse } from 'yaml';
import { AppError, err, objectKey, ok, type Problem, type Result } from '../kernel/index.ts';
import type { Clock, Logger, Metrics } from '../runtime/index.ts';
import type { ApiClient } from './api-client.ts';
import { createInformer, type Informer, type InformerOptions } from './informer.ts';
import { isRecord, type RawObject, wholeObject } from './raw-object.ts';
import { type ResourceType, resourcePath } from './resource-type.ts';

// The package is an ES module compiled to CommonJS: Node's default import of it is all of its exports, that of other loaders is the class.
const loaded: unknown = operatorModule;
const Operator = (typeof loaded === 'function' ? loaded : operatorModule.default) as typeof operatorModule.default;

const CRDS = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };

export interface OperatorBaseOptions {
  readonly kubeConfig: KubeConfig;
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly fieldManager: string;
}

/** What varies between informers; the rest comes from the operator. */
export type WatchOptions<T> = Omit<InformerOptions<T>, 'client' | 'clock' | 'log' | 'metrics' | 'random'>;

export abstract class OperatorBase extends Operator {
  readonly #options: OperatorBaseOptions;
  readonly #stopping = new AbortController();
  readonly #informers: Informer<unknown>[] = [];
  readonly #running: Promise<void>[] = [];

  constructor(options: OperatorBaseOptions) {
    const { log } = options;
    super({
      debug: message => log.debug('operator', { detail: message }),
      info: message => log.info('operator', { detail: message }),
      warn: message => log.warn('operator', { detail: message }),
      error: message => log.error('operator', { detail: message }),
    });
    this.#options = options;
    this.kubeConfig = options.kubeConfig;
  }

  /** Informers in the order in which they were started, for readiness and liveness. */
  get informers(): readonly Informer<unknown>[] {
    return this.#informers;
  }

  /** Starts a supervised informer that lives until stop(). */
  protected watch<T>(options: WatchOptions<T>): Informer<T> {
    const { client, clock, log, metrics, random } = this.#options;
    const informer = createInformer<T>({ ...options, client, clock, log, metrics, random });
    this.#informers.push(informer);
    this.#running.push(informer.run(this.#stopping.signal));
    return informer;
  }

  override stop(): void {
    this.#stopping.abort();
  }

  /** Resolves when every informer has ended after stop(). */
  async stopped(): Promise<void> {
    await Promise.all(this.#running);
  }

  protected override getCustomResourceApiUri(
    group: string,
    version: string,
    plural: string,
    namespace?: string,
  ): string {
    const server = this.kubeConfig.getCurrentCluster()?.server ?? '';
    return (
      server.replace(/\/$/, '') + resourcePath({ group, version, plural }, namespace === undefined ? {} : { namespace })
    );
  }

  /** Resolves when the first list is in. Events come one at a time; a handler that fails is logged and the next event goes on. */
  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    // The base class has five parameters.
    ...[onEvent, namespace]: [(event: ResourceEvent) => Promise<void>, string?]
  ): Promise<void> {
    const type: ResourceType = { group, version, plural, kind: plural, namespaced: namespace !== undefined };
    const decode = (raw: unknown): Result<RawObject, Problem> => decodeWhole(type, raw);
    const informer = this.watch({ type, decode, ...(namespace === undefined ? {} : { namespace }) });
    let last = Promise.resolve();
    informer.store.onChange(({ before, after }) => {
      const object = after ?? before;
      if (object === undefined) return;
      const kind = after === undefined ? 'Deleted' : before === undefined ? 'Added' : 'Modified';
      const event: ResourceEvent = {
        type: ResourceEventType[kind],
        // A copy: handlers of the base class change the object that they are given.
        object: structuredClone(object),
        meta: ResourceMetaImpl.createWithPlural(plural, object),
      };
      last = last
        .then(() => onEvent(event))
        .catch((thrown: unknown) => this.#options.log.error('event handler failed', { err: thrown }));
    });
    await informer.synced;
  }

  protected override async setResourceFinalizers(meta: ResourceMeta, finalizers: string[]): Promise<void> {
    const body = [
      { op: 'test', path: '/metadata/resourceVersion', value: meta.resourceVersion },
      { op: 'add', path: '/metadata/finalizers', value: finalizers },
    ];
    await this.#write('PATCH', meta, { body, contentType: 'application/json-patch+json' });
  }

  protected override setResourceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta> {
    const { apiVersion, kind, name, namespace, resourceVersion } = meta;
    const metadata = { name, resourceVersion, ...(namespace === undefined ? {} : { namespace }) };
    return this.#write('PUT', meta, { body: { apiVersion, kind, metadata, status }, subresource: 'status' });
  }

  protected override patchResourceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta> {
    const contentType = 'application/merge-patch+json';
    return this.#write('PATCH', meta, { body: { status }, contentType, subresource: 'status' });
  }

  async #write(method: 'PUT' | 'PATCH', meta: ResourceMeta, write: MetaWrite): Promise<ResourceMeta> {
    const { body, contentType, subresource = '' } = write;
    const answer = await this.#options.client.request({
      method,
      path: pathOf(meta, subresource),
      body,
      ...(contentType === undefined ? {} : { contentType }),
      signal: this.#stopping.signal,
    });
    return ResourceMetaImpl.createWithId(meta.id, answer as KubernetesObject);
  }

  protected override async registerCustomResourceDefinition(
    crdFile: string,
  ): Promise<{ group: string; versions: V1CustomResourceDefinition['spec']['versions']; plural: string }> {
    const crd = parse(await readFile(crdFile, 'utf8')) as V1CustomResourceDefinition;
    const name = crd.metadata?.name;
    if (
      crd.kind !== 'CustomResourceDefinition' ||
      !crd.apiVersion?.startsWith(`${CRDS.group}/`) ||
      name === undefined
    ) {
      throw new AppError('invalid-argument', `${crdFile} holds no CustomResourceDefinition of ${CRDS.group}`);
    }
    await this.#options.client.request({
      method: 'PATCH',
      path: resourcePath(CRDS, { name }),
      query: { fieldManager: this.#options.fieldManager, force: true },
      contentType: 'application/apply-patch+yaml',
      body: crd,
      signal: this.#stopping.signal,
    });
    const { group, versions, names } = crd.spec;
    return { group, versions, plural: names.plural };
  }
}

interface MetaWrite {
  readonly body: unknown;
  readonly contentType?: string;
  readonly subresource?: string;
}

/** The base class names a resource `<plural>.<apiVersion>`. */
function pathOf({ id, apiVersion, namespace, name }: ResourceMeta, subresource: string): string {
  const plural = id.slice(0, id.length - apiVersion.length - 1);
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  return resourcePath(
    { group, version, plural },
    { name, subresource, ...(namespace === undefined ? {} : { namespace }) },
  );
}

/** A decoder that keeps the whole object, managedFields aside; its kind comes from the object. */
function decodeWhole(type: ResourceType, raw: unknown): Result<RawObject, Problem> {
  const kind = isRecord(raw) && typeof raw['kind'] === 'string' ? raw['kind'] : type.kind;
  const object = wholeObject({ ...type, kind }, raw);
  if (object !== undefined) return ok(object);
  const key = objectKey({ group: type.group, kind, namespace: '', name: '' });
  return err({
    object: key,
    path: 'metadata.name',
    reason: 'Malformed',
    message: 'the object has no name',
    severity: 'error',
  });
}
