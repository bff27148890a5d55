/** From API objects (untyped JSON) to the trimmed objects of the snapshot. Imports kernel and the model's types. */
import { type ObjectKey, type Problem, type Result, ok } from '../../kernel/index.ts';
import { WATCHED_KINDS } from '../kinds.ts';
import type { Snapshot, SnapshotField, SnapshotObject } from '../snapshot.ts';
import { decodeCustom } from './custom.ts';
import { decodeMeta, type Identified } from './meta.ts';
import { decodeNetworkPolicy, decodeNode } from './network-policy.ts';
import { decodePod } from './pod.ts';
import { record, text } from './read.ts';
import { decodeEndpointSlice, decodeService } from './service.ts';

/** Trims one object; fails only when it has no name. */
export type Decoder<T> = (raw: unknown) => Result<T, Problem>;

export const DECODERS: { readonly [F in SnapshotField]: Decoder<SnapshotObject<F>> } = {
  meshConfigs: decoder('meshConfigs', decodeCustom),
  namespaces: decoder('namespaces', identified => identified),
  nodes: decoder('nodes', decodeNode),
  services: decoder('services', decodeService),
  endpointSlices: decoder('endpointSlices', decodeEndpointSlice),
  pods: decoder('pods', decodePod),
  networkPolicies: decoder('networkPolicies', decodeNetworkPolicy),
  trafficPolicies: decoder('trafficPolicies', decodeCustom),
  trafficSplits: decoder('trafficSplits', decodeCustom),
  httpRouteGroups: decoder('httpRouteGroups', decodeCustom),
  servers: decoder('servers', decodeCustom),
  serverAuthorizations: decoder('serverAuthorizations', decodeCustom),
};

/** A snapshot of objects of any watched kinds, e.g. from files. Kinds that compile does not read are left out silently. */
export function snapshotOf(objects: Iterable<unknown>): {
  readonly snapshot: Snapshot;
  readonly problems: readonly Problem[];
} {
  const maps = new Map<SnapshotField, Map<ObjectKey, unknown>>(WATCHED_KINDS.map(({ field }) => [field, new Map()]));
  const problems: Problem[] = [];
  for (const raw of objects) {
    const apiVersion = text(record(raw)['apiVersion']);
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    const watched = WATCHED_KINDS.find(kind => kind.group === group && kind.kind === record(raw)['kind']);
    if (watched === undefined) continue;
    const decoded = DECODERS[watched.field](raw);
    if (decoded.ok) maps.get(watched.field)?.set(decoded.value.key, decoded.value);
    else problems.push(decoded.error);
  }
  // Each map was filled by the decoder of its own field.
  return { snapshot: Object.fromEntries(maps) as unknown as Snapshot, problems };
}

function decoder<T>(field: SnapshotField, trim: (identified: Identified, raw: unknown) => T): Decoder<T> {
  const kind = WATCHED_KINDS.find(watched => watched.field === field);
  return raw => {
    const identified = decodeMeta(raw, { group: kind?.group ?? '', kind: kind?.kind ?? '' });
    return identified.ok ? ok(trim(identified.value, raw)) : identified;
  };
}
