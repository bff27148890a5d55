// Which other replicas there should be: the EndpointSlices of the headless Service, where each ready or starting pod of the operator stands.
import { compareText, formatAddress } from '../kernel/index.ts';
import type { EndpointSliceFacts } from '../model/index.ts';

/** Name of the port of that Service. */
const PORT_NAME = 'grpc-peers';

export interface Member {
  /** Name of its pod. */
  readonly replica: string;
  /** `address:port`, IPv6 in brackets. */
  readonly address: string;
  /** Whether it takes proxies. */
  readonly serving: boolean;
}

export interface MembersOptions {
  readonly namespace: string;
  /** Of the headless Service. */
  readonly service: string;
  /** This replica, which is no peer of itself. */
  readonly self: string;
}

/** Sorted; a pod with addresses of both families is one member, by its IPv4 address. A pod that ends is expected no longer. */
export function membersOf(slices: Iterable<EndpointSliceFacts>, options: MembersOptions): readonly Member[] {
  const members = new Map<string, Member>();
  const own = [...slices].filter(
    ({ meta, service }) => meta.namespace === options.namespace && service === options.service,
  );
  for (const { ports, endpoints } of own.toSorted((a, b) => compareText(b.addressType, a.addressType))) {
    const port = ports.find(({ name }) => name === PORT_NAME)?.port;
    if (port === undefined) continue;
    for (const { pod, address, serving, terminating } of endpoints) {
      if (pod === '' || pod === options.self || terminating) continue;
      members.set(pod, { replica: pod, address: formatAddress(address, port), serving });
    }
  }
  return [...members.values()].toSorted((a, b) => compareText(a.replica, b.replica));
}
