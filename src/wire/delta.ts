import { canonicalJson, formatAddress } from '../kernel/index.ts';
import type { Endpoint, Endpoints, EndpointsDelta } from '../model/index.ts';

/** What turns the endpoints of one version into those of the next. */
export function endpointsDelta(baseVersion: string, before: Endpoints, after: Endpoints): EndpointsDelta {
  const old = byAddress(before);
  const next = byAddress(after);
  const upserted = [...next].filter(([address, endpoint]) => {
    const known = old.get(address);
    return known === undefined || (known !== endpoint && canonicalJson(known) !== canonicalJson(endpoint));
  });
  const removed = [...old.keys()].filter(address => !next.has(address));
  return { baseVersion, upserted: upserted.map(([, endpoint]) => endpoint), removed };
}

function byAddress({ endpoints }: Endpoints): ReadonlyMap<string, Endpoint> {
  return new Map(endpoints.map(endpoint => [formatAddress(endpoint.address, endpoint.port), endpoint]));
}
