import { inject } from 'vitest';
import { address, freePort } from './address.ts';
import { listening, Program } from './program.ts';

/** The test application and where it listens, on this process' own address. */
export interface Testapp {
  readonly http: number;
  readonly banner: number;
  readonly mirror: number;
  stop(): Promise<void>;
}

export async function startTestapp(): Promise<Testapp> {
  const ports = { http: freePort(), grpc: freePort(), tcp: freePort(), banner: freePort(), mirror: freePort() };
  const flags = Object.entries(ports).map(([name, port]) => `--${name}=${address}:${port}`);
  flags.push(`--udp=${address}:${freePort()}`, `--probed=${address}:${freePort()}`);
  const program = new Program('testapp', [inject('testapp'), 'server', ...flags]);
  for (const port of Object.values(ports)) await listening(address, port, program);
  return { ...ports, stop: async () => await program.stop() };
}
