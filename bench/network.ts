// Who listens where. Every pair has a service address, whose ports are redirected to its client half, and a pod address, whose ports are redirected to
// its server half: what the rules of a pod would do.
import { execFileSync } from 'node:child_process';

export const pairNames = ['weft', 'haproxy', 'nginx', 'envoy', 'envoy-mesh', 'relay'] as const;
export type PairName = (typeof pairNames)[number];

export const protocols = ['http', 'grpc', 'tcp'] as const;
export type Protocol = (typeof protocols)[number];

export const appPorts: Readonly<Record<Protocol, number>> = { http: 9_000, grpc: 9_001, tcp: 9_002 };
/** Answers only once a thousand requests wait. */
export const heldPort = 9_003;
export const servicePorts: Readonly<Record<Protocol, number>> = { http: 80, grpc: 81, tcp: 82 };

/** Where one pair listens for one protocol, and what its halves connect to; each `host:port`. */
export interface PairAddresses {
  /** The client half's listener. */
  readonly client: string;
  /** What the client half connects to; redirected to `server`. */
  readonly peer: string;
  /** The server half's listener. */
  readonly server: string;
  readonly app: string;
}
export type AllAddresses = Readonly<Record<Protocol, PairAddresses>>;

export const serviceAddress = (name: PairName): string => `10.99.1.${pairNames.indexOf(name) + 1}`;
export const podAddress = (name: PairName): string => `10.99.2.${pairNames.indexOf(name) + 1}`;

/** Weft's halves have one listener each for everything; the others have one for each protocol. */
export const weftPorts = {
  client: { inbound: 4_153, outbound: 4_140, admin: 4_181 },
  server: { inbound: 4_143, outbound: 4_150, admin: 4_191 },
} as const;

interface Ports {
  readonly client: number;
  readonly peer: number;
  readonly server: number;
}

function ports(name: PairName, protocol: Protocol): Ports {
  if (name === 'weft') return { client: weftPorts.client.outbound, peer: 4_143, server: weftPorts.server.inbound };
  const offset = 100 * pairNames.indexOf(name) + 10 * protocols.indexOf(protocol);
  return { client: 4_140 + offset, peer: 4_143 + 10 * protocols.indexOf(protocol), server: 4_143 + offset };
}

const perProtocol = <T>(of: (protocol: Protocol) => T): Record<Protocol, T> => ({
  http: of('http'),
  grpc: of('grpc'),
  tcp: of('tcp'),
});

export function addressesOf(name: PairName): AllAddresses {
  return perProtocol(protocol => {
    const { client, peer, server } = ports(name, protocol);
    return {
      client: `127.0.0.1:${client}`,
      peer: `${podAddress(name)}:${peer}`,
      server: `127.0.0.1:${server}`,
      app: `127.0.0.1:${appPorts[protocol]}`,
    };
  });
}

/** What a client of the pair connects to. */
export function targetsOf(name: PairName): Record<Protocol, string> {
  return perProtocol(protocol => `${serviceAddress(name)}:${servicePorts[protocol]}`);
}

export const directTargets: Readonly<Record<Protocol, string>> = perProtocol(
  protocol => `127.0.0.1:${appPorts[protocol]}`,
);

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'inherit', 'inherit'] });
};

/** One loopback with all addresses on it, and the redirects. Only for a network namespace of the bench's own. */
export function makeNetwork(): void {
  ip('link', 'set', 'lo', 'up');
  const rules = new Set<string>();
  for (const name of pairNames) {
    for (const address of [serviceAddress(name), podAddress(name)]) ip('addr', 'add', `${address}/32`, 'dev', 'lo');
    for (const protocol of protocols) {
      const { client, peer, server } = ports(name, protocol);
      rules.add(`ip daddr ${serviceAddress(name)} tcp dport ${servicePorts[protocol]} redirect to :${client}`);
      rules.add(`ip daddr ${podAddress(name)} tcp dport ${peer} redirect to :${server}`);
    }
  }
  const table = `table ip bench {\n chain output {\n  type nat hook output priority -100\n  ${[...rules].join('\n  ')}\n }\n}\n`;
  execFileSync('nft', ['-f', '-'], { input: table, stdio: ['pipe', 'inherit', 'inherit'] });
}
