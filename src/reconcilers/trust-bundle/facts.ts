// The copies of the trust bundle, as this reconciler keeps them.
import { err, type ObjectKey, objectKey, ok, type Problem, type Result, TRUST_CONFIG_MAP } from '../../kernel/index.ts';
import { identityOf, type RawObject, type ResourceType, wholeObject } from '../../kube/index.ts';

export const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export const BUNDLE_NAME = TRUST_CONFIG_MAP;
/** Key of the roots of the namespace's own mesh in the ConfigMap. */
export const BUNDLE_FIELD = 'ca.crt';
/** Marks copies as ours: a ConfigMap of that name without it is never deleted. */
export const BUNDLE_LABEL = 'weft.dev/trust-bundle';

export interface BundleFacts {
  readonly key: ObjectKey;
  readonly raw: RawObject;
}

export function decodeBundle(raw: unknown): Result<BundleFacts, Problem> {
  const identity = identityOf(CONFIG_MAPS, raw);
  const object = wholeObject(CONFIG_MAPS, raw);
  if (identity !== undefined && object !== undefined) return ok({ key: identity.key, raw: object });
  const unnamed = objectKey({ group: '', kind: 'ConfigMap', namespace: '', name: '' });
  return err({
    object: unnamed,
    path: 'metadata.name',
    reason: 'Invalid',
    message: 'A ConfigMap has no name.',
    severity: 'error',
  });
}

export const bundleKey = (namespace: string): ObjectKey =>
  objectKey({ group: '', kind: 'ConfigMap', namespace, name: BUNDLE_NAME });
