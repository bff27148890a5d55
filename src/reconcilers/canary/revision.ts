// What a revision is: the pod template and what is in the ConfigMaps and Secrets that it uses. Canonical JSON of what the API server stores, so neither
// the order of fields nor the version of a library makes an old revision a new one.
import { contentHash } from '../../kernel/index.ts';
import type { RawObject } from '../../kube/index.ts';
import { templateOf } from './deployment.ts';
import type { Observed, TrackedConfig } from './observed.ts';

export function trackedConfigsOf(configs: readonly TrackedConfig[]): Readonly<Record<string, string>> {
  return Object.fromEntries(configs.map(({ kind, name, hash }) => [`${kind.toLowerCase()}/${name}`, hash]));
}

export function revisionOf({ target, configs }: Pick<Observed, 'target' | 'configs'>): string {
  return target === undefined ? '' : contentHash({ template: templateOf(target), configs: trackedConfigsOf(configs) });
}

/** On the primary: the revision that it was made from. */
export const REVISION = 'weft.dev/canary-revision';

export const primaryRevision = (primary: RawObject | undefined): string =>
  primary?.metadata.annotations?.[REVISION] ?? '';
