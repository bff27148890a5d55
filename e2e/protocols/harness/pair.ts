import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { Protocol } from '../../../src/gen/weft/config/v1/config_pb.ts';
import { eventually } from '../../harness/poll.ts';
import { address, freePort } from './address.ts';
import { type Half, makeAuthority } from './certificates.ts';
import { Program } from './program.ts';
import { type Application, service, staticConfig } from './static-config.ts';

export interface PairOptions {
  /** Port of the application, on this process' own address. */
  readonly port: number;
  /** What both proxies are told of it; they find out by themselves unless it is given. */
  readonly protocol?: Protocol;
  /** Patience with a silent client before its server is dialled; the proxy's own unless given. */
  readonly earlyDialMs?: number;
}

/** Two processes, and what stands between an application and its client. */
export interface Pair {
  /** Where the client's application connects to. */
  readonly host: string;
  readonly port: number;
  /** Pids of both halves. */
  readonly pids: readonly number[];
  /** What the client's half says of itself at /metrics. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

interface Ports {
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
}

const ports = (): Ports => ({ inbound: freePort(), outbound: freePort(), admin: freePort() });

interface Start {
  readonly half: Half;
  readonly file: string;
  readonly ports: Ports;
  /** Port of the peers' inbound listeners. */
  readonly direct: number;
  /** Where inbound connections were meant to go; the listener itself means mesh TLS of a peer. */
  readonly origin: number;
  readonly earlyDialMs: number | undefined;
}

function start({ half, file, ports, direct, origin, earlyDialMs }: Start): Program {
  return new Program(half, [inject('proxyBinary'), 'run'], {
    env: {
      WEFT_STATIC_CONFIG: file,
      WEFT_INBOUND_LISTEN: `${address}:${ports.inbound}`,
      WEFT_OUTBOUND_LISTEN: `${address}:${ports.outbound}`,
      WEFT_ADMIN_LISTEN: `${address}:${ports.admin}`,
      WEFT_INBOUND_ORIGIN: `${address}:${origin}`,
      WEFT_OUTBOUND_ORIGIN: `${service.host}:${service.port}`,
      WEFT_DIRECT_PORT: String(direct),
      WEFT_DRAIN_SECONDS: '0',
      ...(earlyDialMs === undefined ? {} : { WEFT_EARLY_DIAL_MS: String(earlyDialMs) }),
    },
  });
}

async function ready(program: Program, { admin }: Ports): Promise<void> {
  await eventually(
    `${program.name} is ready`,
    async () => {
      const { pid } = program;
      return pid > 0 && (await fetch(`http://${address}:${admin}/ready`)).ok;
    },
    { deadlineMs: 30_000 },
  );
}

async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-protocols-'));
  try {
    return await use(folder);
  } finally {
    // Proxies read their file once.
    await rm(folder, { recursive: true, force: true });
  }
}

const application = (options: PairOptions): Application => ({
  host: address,
  port: options.port,
  protocol: options.protocol ?? Protocol.DETECT,
});

/** Starts a client's and a server's proxy with mutual TLS between them. */
export async function startPair(options: PairOptions): Promise<Pair> {
  const [authority, app] = [await makeAuthority(), application(options)];
  return await withFolder(async folder => {
    const [server, client] = [ports(), ports()];
    const run = async (half: Half, own: Ports): Promise<Program> => {
      const file = join(folder, half);
      await writeFile(file, await staticConfig(half, app, authority), { mode: 0o600 });
      const { earlyDialMs } = options;
      return start({ half, file, ports: own, direct: server.inbound, origin: own.inbound, earlyDialMs });
    };
    const programs = [await run('server', server), await run('client', client)] as const;
    const stop = async (): Promise<void> => {
      await Promise.all(programs.map(program => program.stop()));
    };
    try {
      await Promise.all([ready(programs[0], server), ready(programs[1], client)]);
    } catch (error) {
      await stop();
      throw error;
    }
    return {
      host: address,
      port: client.outbound,
      pids: programs.map(program => program.pid),
      metrics: async () => await (await fetch(`http://${address}:${client.admin}/metrics`)).text(),
      stop,
    };
  });
}

/** Starts a server's proxy alone; its clients are not in the mesh. */
export async function startInbound(options: PairOptions): Promise<Pair> {
  const [authority, app, own] = [await makeAuthority(), application(options), ports()];
  return await withFolder(async folder => {
    const file = join(folder, 'server');
    await writeFile(file, await staticConfig('server', app, authority), { mode: 0o600 });
    const { earlyDialMs } = options;
    const program = start({ half: 'server', file, ports: own, direct: 1, origin: app.port, earlyDialMs });
    try {
      await ready(program, own);
    } catch (error) {
      await program.stop();
      throw error;
    }
    return {
      host: address,
      port: own.inbound,
      pids: [program.pid],
      metrics: async () => await (await fetch(`http://${address}:${own.admin}/metrics`)).text(),
      stop: async () => await program.stop(),
    };
  });
}
