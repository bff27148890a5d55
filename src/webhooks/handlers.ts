// One function per webhook: from the request to the answer. Everything they need is handed in; failures of what is handed in become refusals or
// admissions by the caller's rule, never a hanging request.
import { AppError } from '../kernel/index.ts';
import type { Counter, Logger } from '../runtime/index.ts';
import { type InjectOptions, type Labelled, type MeshForInjection, type PodObject, inject } from './inject/index.ts';
import type { JsonPatch } from './json-patch.ts';
import { type AdmissionRequest, type Answer } from './review.ts';
import { type ValidateObject, validate } from './validate.ts';

export type Handler = (request: AdmissionRequest, signal: AbortSignal) => Promise<Answer>;

export interface HandlerOptions {
  readonly injectOptions: () => InjectOptions;
  /** A namespace as it is now; undefined: there is none. May ask the API when the watch is behind. */
  readonly namespace: (name: string, signal: AbortSignal) => Promise<Labelled | undefined>;
  /** The mesh that a namespace belongs to; undefined: its MeshConfig does not exist or is invalid. */
  readonly mesh: (namespace: Labelled) => MeshForInjection | undefined;
  readonly validateObject: ValidateObject;
  /** Whole numbers for the weights of a TrafficSplit; empty when they are whole already. */
  readonly normaliseTrafficSplit: (object: unknown) => readonly JsonPatch[];
  readonly log: Logger;
  /** Label `result`: Injected, or the reason of a skip. */
  readonly injections: Counter;
}

export interface Handlers {
  readonly inject: Handler;
  readonly validate: Handler;
  readonly normalise: Handler;
}

export function createHandlers(options: HandlerOptions): Handlers {
  const { log } = options;

  async function injectPod(request: AdmissionRequest, signal: AbortSignal): Promise<Answer> {
    const { kind, namespace: name, object } = request;
    if (kind.group !== '' || kind.kind !== 'Pod' || request.operation !== 'CREATE' || object === undefined)
      return { allowed: true };
    const namespace = await options.namespace(name, signal);
    if (namespace === undefined) throw new AppError('unavailable', `namespace ${name} is not known yet; try again`);
    const mesh = options.mesh(namespace);
    if (mesh === undefined) {
      options.injections.inc({ result: 'NoMesh' });
      return {
        allowed: true,
        warnings: [
          `not meshed: the MeshConfig of namespace ${name} does not exist or is invalid; see its label weft.dev/mesh`,
        ],
      };
    }
    const pod = object as PodObject;
    const { patch, skipped, warnings } = inject(pod, namespace, mesh, options.injectOptions());
    const result = skipped ?? 'Injected';
    options.injections.inc({ result });
    log.debug('pod reviewed', {
      namespace: name,
      name: pod.metadata?.name ?? pod.metadata?.generateName ?? '',
      result,
    });
    return { allowed: true, patch, warnings };
  }

  return {
    inject: injectPod,
    validate: request => Promise.resolve(validate(request, options.validateObject)),
    normalise: request => {
      if (request.kind.kind !== 'TrafficSplit' || request.object === undefined)
        return Promise.resolve({ allowed: true });
      return Promise.resolve({ allowed: true, patch: options.normaliseTrafficSplit(request.object) });
    },
  };
}
