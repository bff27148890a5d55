// The largest message that a proxy takes. One more byte ends its stream, and it would be sent the same again on the next: so it is not sent at all.
import type { Resource } from '../model/index.ts';

/** `MESSAGE_BYTES` of the proxy's control crate, and of what a proxy may send. */
export const MESSAGE_BYTES = 8 * 1024 * 1024;

/** What to do about it, by what the resource is made of. */
const REMEDIES: Readonly<Record<Resource['body']['kind'], string>> = {
  workload:
    'Shorten spec.client of the ServerAuthorizations of its Servers (identities, serviceAccounts and networks are repeated for every port), or select fewer ports.',
  trust: 'Name fewer trust domains in the MeshConfig.',
  outbound:
    'Shorten spec.rules and spec.faults of the TrafficPolicy, or spec.matches of the HTTPRouteGroups, of this address.',
  endpoints: 'Select fewer pods by the Service (spec.selector), or split it into several.',
};

/** Why a version is not sent; undefined: it may be. */
export function oversizeOf({ name, body }: Resource, bytes: number): string | undefined {
  if (bytes <= MESSAGE_BYTES) return undefined;
  return `${name} takes ${bytes} bytes, and a proxy takes at most ${MESSAGE_BYTES} in one message; what was in force before stays. ${REMEDIES[body.kind]}`;
}
