import {
  AccessLog as WireAccessLog,
  Algorithm as WireAlgorithm,
  Protocol as WireProtocol,
  Transport as WireTransport,
  UnknownDestination as WireUnknown,
} from '../gen/weft/config/v1/config_pb.ts';
import type { AccessLog, Algorithm, Protocol, Transport, UnknownDestination } from '../model/index.ts';

// One table per enum; the other direction is found in the same table, so the two cannot disagree.

export const PROTOCOLS = {
  detect: WireProtocol.DETECT,
  http1: WireProtocol.HTTP1,
  http2: WireProtocol.HTTP2,
  grpc: WireProtocol.GRPC,
  opaque: WireProtocol.OPAQUE,
  tls: WireProtocol.TLS,
} as const satisfies Record<Protocol, WireProtocol>;

export const TRANSPORTS = {
  plain: WireTransport.PLAIN,
  direct: WireTransport.DIRECT,
  redirect: WireTransport.REDIRECT,
} as const satisfies Record<Transport, WireTransport>;

export const UNKNOWN_DESTINATIONS = {
  passThrough: WireUnknown.PASS_THROUGH,
  refuse: WireUnknown.REFUSE,
} as const satisfies Record<UnknownDestination, WireUnknown>;

export const ACCESS_LOGS = {
  off: WireAccessLog.OFF,
  apache: WireAccessLog.APACHE,
  json: WireAccessLog.JSON,
} as const satisfies Record<AccessLog, WireAccessLog>;

export const ALGORITHMS = {
  default: WireAlgorithm.UNSPECIFIED,
  peakEwma: WireAlgorithm.PEAK_EWMA,
  leastRequest: WireAlgorithm.LEAST_REQUEST,
  ringHash: WireAlgorithm.RING_HASH,
  roundRobin: WireAlgorithm.ROUND_ROBIN,
} as const satisfies Record<Algorithm, WireAlgorithm>;

/** The word for a number on the wire; a number that the table does not have is an error of whoever sent it. */
export function wordOf<W extends string>(table: Readonly<Record<W, number>>, value: number, field: string): W {
  const found = (Object.entries(table) as [W, number][]).find(([, number]) => number === value);
  if (found === undefined) throw new WireFault(`${field} has the unknown value ${value}`);
  return found[0];
}

/** What cannot be understood in a message; thrown and caught within this folder. */
export class WireFault extends Error {}
