// Which Canaries an object concerns. Of what is watched only this is kept: a look reads what it needs.
import { err, objectKey, ok, type Problem, type Result } from '../../kernel/index.ts';
import { isRecord, type ResourceType } from '../../kube/index.ts';
import { record, records, text } from './deployment.ts';
import { CANARIES } from './types.ts';

export interface CanaryFacts {
  readonly namespace: string;
  readonly name: string;
  readonly target: string;
  readonly apex: string;
  readonly autoscaler: string;
  readonly controllerClass: string;
}

/** Names which controller a Canary is for; absent: the one that has no class. */
const CLASS = 'weft.dev/canary-class';

export interface RelatedFacts {
  readonly namespace: string;
  readonly name: string;
  /** Names of the Canaries that own it. */
  readonly owners: readonly string[];
}

function metadataOf(raw: unknown) {
  const metadata = record(isRecord(raw) ? raw['metadata'] : undefined);
  return { metadata, name: text(metadata['name']), namespace: text(metadata['namespace']) };
}

export function decodeCanary(raw: unknown): Result<CanaryFacts, Problem> {
  const { metadata, name, namespace } = metadataOf(raw);
  if (name === '') return unnamed(CANARIES);
  const spec = record(record(raw)['spec']);
  const target = text(record(spec['targetRef'])['name']);
  return ok({
    namespace,
    name,
    target,
    apex: text(record(spec['service'])['name']) || target,
    autoscaler: text(record(spec['autoscalerRef'])['name']),
    controllerClass: text(record(metadata['annotations'])[CLASS]),
  });
}

export function decodeRelated(type: ResourceType): (raw: unknown) => Result<RelatedFacts, Problem> {
  return raw => {
    const { metadata, name, namespace } = metadataOf(raw);
    if (name === '') return unnamed(type);
    const owners = records(metadata['ownerReferences'])
      .filter(({ kind, apiVersion }) => kind === CANARIES.kind && text(apiVersion).startsWith(`${CANARIES.group}/`))
      .map(owner => text(owner['name']));
    return ok({ namespace, name, owners });
  };
}

/** Keys `namespace/name`. */
export function canariesOf(related: RelatedFacts, canaries: Iterable<CanaryFacts>): readonly string[] {
  const { namespace, name, owners } = related;
  const named = [...canaries].filter(
    canary =>
      canary.namespace === namespace &&
      [canary.target, canary.apex, canary.autoscaler].some(
        own => own === name || (own !== '' && name === `${own}-primary`),
      ),
  );
  return [...new Set([...owners, ...named.map(canary => canary.name)])].map(owner => `${namespace}/${owner}`);
}

function unnamed(type: ResourceType): Result<never, Problem> {
  return err({
    object: objectKey({ group: type.group, kind: type.kind, namespace: '', name: '' }),
    path: 'metadata.name',
    reason: 'Malformed',
    message: 'the object has no name',
    severity: 'error',
  });
}
