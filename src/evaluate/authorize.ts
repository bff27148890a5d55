import { canonicalIp, cidrHasIp, parseCidr, parseIp } from '../kernel/index.ts';
import type { Authorization, Clients, InboundPort, InboundRoute, Network, Ref } from '../model/index.ts';
import { matchesAny } from './match.ts';
import type { Client, RequestHead } from './request.ts';

export type Decision =
  | { readonly kind: 'allow'; readonly authorization: Ref; readonly route: Ref | undefined; readonly audited: boolean }
  | { readonly kind: 'deny'; readonly route: Ref | undefined }
  | { readonly kind: 'notFound' };

export interface Attempt {
  readonly client: Client;
  /** Addresses of the pod that is called. */
  readonly podIps: readonly string[];
  /** Undefined: the connection is not HTTP. */
  readonly request: RequestHead | undefined;
}

const LOCALHOST: Ref = { group: '', kind: 'default', namespace: '', name: 'localhost', port: 0 };
const AUDIT: Ref = { group: '', kind: 'default', namespace: '', name: 'audit', port: 0 };

/** Whether a port lets a request, or a connection that is not HTTP, in. The first authorization that admits is named, those of the route first. */
export function authorize(port: InboundPort, { client, podIps, request }: Attempt): Decision {
  const route = request === undefined ? undefined : port.routes.find(candidate => takes(candidate, request));
  if (request !== undefined && route === undefined && port.unmatchedNotFound) return { kind: 'notFound' };
  const named = route?.route;
  const admitting = [...(route?.authorizations ?? []), ...port.authorizations].find(candidate =>
    admits(candidate, client),
  );
  if (admitting !== undefined)
    return { kind: 'allow', authorization: admitting.authorization, route: named, audited: false };
  if (isSelf(client.address, podIps)) return { kind: 'allow', authorization: LOCALHOST, route: named, audited: false };
  if (port.audit) return { kind: 'allow', authorization: AUDIT, route: named, audited: true };
  return { kind: 'deny', route: named };
}

/** A route that asks for a path does not take a path that the application may read as another one. */
function takes({ matches }: InboundRoute, request: RequestHead): boolean {
  const usable = isAmbiguous(request.path) ? matches.filter(({ path }) => path === undefined) : matches;
  return matches.length === 0 || (usable.length > 0 && matchesAny(usable, request));
}

/** Whether a path has dot segments in any of the spellings that servers are known to resolve: encoded, with parameters, behind backslashes. */
function isAmbiguous(path: string): boolean {
  return path
    .replaceAll(/%2e/gi, '.')
    .replaceAll(/%2f|%5c|\\/gi, '/')
    .replaceAll(/%3b/gi, ';')
    .split('/')
    .some(element => ['.', '..'].includes(element.split(';')[0] ?? ''));
}

function admits({ networks, clients }: Authorization, { address, tls }: Client): boolean {
  return networks.some(network => contains(network, address)) && authenticates(clients, tls);
}

function contains({ cidr, except }: Network, address: string): boolean {
  const ip = parseIp(address);
  const has = (text: string): boolean => {
    const range = parseCidr(text);
    return ip !== undefined && range !== undefined && cidrHasIp(range, ip);
  };
  return has(cidr) && !except.some(has);
}

function authenticates(clients: Clients, tls: Client['tls']): boolean {
  if (clients.kind === 'unauthenticated') return true;
  if (clients.kind === 'unauthenticatedTls') return tls.kind !== 'none';
  if (tls.kind !== 'identity') return false;
  const { spiffe, dns } = tls;
  if (clients.any || clients.identities.includes(spiffe)) return true;
  return (
    dns !== undefined && (clients.identities.includes(dns) || clients.suffixes.some(suffix => dns.endsWith(suffix)))
  );
}

function isSelf(address: string, podIps: readonly string[]): boolean {
  const ip = canonicalIp(address);
  return ip !== undefined && (ip === '::1' || ip.startsWith('127.') || podIps.map(canonicalIp).includes(ip));
}
