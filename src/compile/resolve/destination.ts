import { cidrHasIp, formatAddress, parseCidr, parseIp } from '../../kernel/index.ts';
import type { NodeFacts, PodFacts, ServiceFacts } from '../../model/index.ts';
import type { World } from './world.ts';

/** What stands behind an address that an application dials. */
type Destination =
  | { readonly kind: 'service'; readonly service: ServiceFacts }
  | { readonly kind: 'pod'; readonly pod: PodFacts }
  | { readonly kind: 'node'; readonly node: NodeFacts }
  | { readonly kind: 'linkLocal' };

const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'].map(parseCidr).filter(range => range !== undefined);

/**
 * Undefined: nothing of the cluster. What the cluster hands out comes before what a Service lays claim to, and an external address is a Service on
 * the Service's own ports only: it may belong to a node, or be shared by several Services.
 */
export function destinationOf(
  world: World,
  { ip, port }: { readonly ip: string; readonly port: number },
): Destination | undefined {
  const own = world.servicesByIp.get(ip);
  if (own !== undefined) return { kind: 'service', service: own };
  const pod = world.podsByIp.get(ip);
  if (pod !== undefined) return { kind: 'pod', pod };
  const service = world.servicesByExternalAddress.get(formatAddress(ip, port));
  if (service !== undefined) return { kind: 'service', service };
  const node = world.nodesByIp.get(ip);
  if (node !== undefined) return { kind: 'node', node };
  const address = parseIp(ip);
  const linkLocal = address !== undefined && LINK_LOCAL.some(range => cidrHasIp(range, address));
  return linkLocal ? { kind: 'linkLocal' } : undefined;
}
