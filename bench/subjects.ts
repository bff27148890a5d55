import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeKeyPair, privateKeyPem } from '../src/identity/keys.ts';
import { issueLeaf, makeCa, signingCa } from '../src/identity/x509.ts';
import {
  application,
  type CertificateFiles,
  haproxyClient,
  haproxyServer,
  nginxClient,
  nginxServer,
  type PairAddresses,
} from './peers.ts';
import { listening, Pinned } from './process.ts';
import { identities, staticConfig } from './weft.ts';

/** What is measured: a way to the application, and the processes whose CPU counts. */
export interface Subject {
  readonly name: string;
  readonly url: string;
  pids(): number[];
}

export interface Running {
  readonly subjects: readonly Subject[];
  /** Those that are pairs: client half first. */
  readonly pairs: readonly Subject[];
  stop(): Promise<void>;
}

const appPort = 9_000;
/** Every pair has a service address (redirected to its client half) and a pod address (redirected to its server half). */
const pairs = ['weft', 'haproxy', 'nginx', 'relay'] as const;
type PairName = (typeof pairs)[number];

const listen: Readonly<Record<PairName, { client: number; server: number }>> = {
  weft: { client: 4140, server: 4143 },
  haproxy: { client: 4240, server: 4243 },
  nginx: { client: 4340, server: 4343 },
  relay: { client: 4440, server: 4443 },
};
const serviceAddress = (name: PairName): string => `10.99.1.${pairs.indexOf(name) + 1}`;
const podAddress = (name: PairName): string => `10.99.2.${pairs.indexOf(name) + 1}`;

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'inherit', 'inherit'] });
};

/** One loopback with all addresses on it, and the redirects that a pod's rules would make. */
function network(): void {
  ip('link', 'set', 'lo', 'up');
  for (const name of pairs)
    for (const address of [serviceAddress(name), podAddress(name)]) ip('addr', 'add', `${address}/32`, 'dev', 'lo');
  const rules = pairs.flatMap(name => [
    `ip daddr ${serviceAddress(name)} tcp dport 80 redirect to :${listen[name].client}`,
    `ip daddr ${podAddress(name)} tcp dport 4143 redirect to :${listen[name].server}`,
  ]);
  const table = `table ip bench {\n chain output {\n  type nat hook output priority -100\n  ${rules.join('\n  ')}\n }\n}\n`;
  execFileSync('nft', ['-f', '-'], { input: table, stdio: ['pipe', 'inherit', 'inherit'] });
}

async function certificates(
  folder: string,
): Promise<{ files: CertificateFiles; pem: Record<'client' | 'server' | 'ca', { cert: string; key: string }> }> {
  const nowMs = Date.now();
  const validForMs = 24 * 3_600_000;
  const ca = await makeCa({ commonName: 'bench', nowMs, validForMs });
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const leaf = async (half: 'client' | 'server'): Promise<{ cert: string; key: string }> => {
    const keys = await makeKeyPair();
    const certificate = await issueLeaf(signingCa(ca), {
      publicKey: keys.publicKey,
      spiffeId: identities[half],
      dnsNames: ['app.local'],
      nowMs,
      validForMs,
      notAfterMs: nowMs + validForMs,
    });
    return { cert: `${certificate.toString('pem')}\n`, key: await privateKeyPem(keys.privateKey) };
  };
  const pem = {
    client: await leaf('client'),
    server: await leaf('server'),
    ca: { cert: ca.certificatePem, key: ca.privateKeyPem },
  };
  const half = (name: 'client' | 'server') => ({
    cert: write(`${name}.crt`, pem[name].cert),
    key: write(`${name}.key`, pem[name].key),
    combined: write(`${name}.pem`, `${pem[name].cert}${pem[name].key}`),
  });
  return { files: { ca: write('ca.crt', ca.certificatePem), client: half('client'), server: half('server') }, pem };
}

function argumentsFrom(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: start the bench with \`make bench\``);
  return value;
}

/** Starts the application and all pairs; they stay up for the whole run and idle while another is measured. */
export async function startSubjects(folder: string, cpu: number): Promise<Running> {
  network();
  const { files, pem } = await certificates(folder);
  const started: Pinned[] = [];
  const start = (name: string, argv: readonly string[], env: Record<string, string> = {}): Pinned => {
    const program = new Pinned(name, cpu, argv, { env });
    started.push(program);
    return program;
  };
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const nginxFolder = (name: string): string => {
    const path = join(folder, name);
    mkdirSync(path);
    return path;
  };
  const root = nginxFolder('www');
  writeFileSync(join(root, '1k'), 'x'.repeat(1_024));
  // nginx drops to its own user for the worker, which must be able to look into the folder.
  chownSync(folder, 65_534, 65_534);
  execFileSync('chmod', ['-R', 'a+rX', folder]);
  const nginxRun = (name: string, config: string): Pinned =>
    start(name, ['nginx', '-e', 'stderr', '-c', write(`${name}.conf`, config)]);
  const app = nginxRun('app', application(nginxFolder('app'), root, appPort));
  await listening('127.0.0.1', appPort);

  const addresses = (name: PairName): PairAddresses => ({
    client: `127.0.0.1:${listen[name].client}`,
    peer: `${podAddress(name)}:4143`,
    server: `127.0.0.1:${listen[name].server}`,
    app: `127.0.0.1:${appPort}`,
  });
  const halves: Record<PairName, readonly [Pinned, Pinned]> = {
    weft: startWeft(start, write, { pem, proxy: argumentsFrom('WEFT_BENCH_PROXY') }),
    haproxy: [
      start('haproxy client', [
        'haproxy',
        '-db',
        '-q',
        '-f',
        write('haproxy-client.cfg', haproxyClient(addresses('haproxy'), files)),
      ]),
      start('haproxy server', [
        'haproxy',
        '-db',
        '-q',
        '-f',
        write('haproxy-server.cfg', haproxyServer(addresses('haproxy'), files)),
      ]),
    ],
    nginx: [
      nginxRun('nginx-client', nginxClient(nginxFolder('nginx-client'), addresses('nginx'), files)),
      nginxRun('nginx-server', nginxServer(nginxFolder('nginx-server'), addresses('nginx'), files)),
    ],
    relay: [
      start('relay client', [
        argumentsFrom('WEFT_BENCH_RELAY'),
        'client',
        addresses('relay').client,
        addresses('relay').peer,
        files.client.cert,
        files.client.key,
        files.ca,
      ]),
      start('relay server', [
        argumentsFrom('WEFT_BENCH_RELAY'),
        'server',
        addresses('relay').server,
        addresses('relay').app,
        files.server.cert,
        files.server.key,
        files.ca,
      ]),
    ],
  };
  for (const name of pairs)
    await Promise.all([listening('127.0.0.1', listen[name].client), listening('127.0.0.1', listen[name].server)]);
  const subjects = pairs.map(name => ({
    name,
    url: `http://${serviceAddress(name)}/1k`,
    // nginx works in a child of its master.
    pids: () => halves[name].flatMap(({ pid }) => [pid, ...childrenOf(pid)]),
  }));
  const direct: Subject = {
    name: 'direct',
    url: `http://127.0.0.1:${appPort}/1k`,
    pids: () => [app.pid, ...childrenOf(app.pid)],
  };
  return {
    subjects: [direct, ...subjects],
    pairs: subjects.map(subject => ({
      ...subject,
      pids: () => halves[subject.name].map(({ pid }) => childrenOf(pid)[0] ?? pid),
    })),
    stop: async () => {
      await Promise.all(started.map(program => program.stop()));
    },
  };
}

function childrenOf(pid: number): number[] {
  const text = execFileSync('cat', [`/proc/${pid}/task/${pid}/children`], { encoding: 'utf8' });
  return text.trim().split(' ').filter(Boolean).map(Number);
}

type Start = (name: string, argv: readonly string[], env?: Record<string, string>) => Pinned;

function startWeft(
  start: Start,
  write: (name: string, text: string) => string,
  { pem, proxy }: { pem: Record<'client' | 'server' | 'ca', { cert: string; key: string }>; proxy: string },
): readonly [Pinned, Pinned] {
  const options = { servicePort: 80, serviceAddress: serviceAddress('weft'), podAddress: podAddress('weft'), appPort };
  const anchorDer = new X509Certificate(pem.ca.cert).raw;
  const half = (name: 'client' | 'server', ports: { inbound: number; outbound: number; admin: number }): Pinned => {
    const material = { chainPem: pem[name].cert, keyPem: pem[name].key, anchorPem: pem.ca.cert, anchorDer };
    const file = write(`weft-${name}.json`, staticConfig(name, options, material));
    return start(`weft ${name}`, [proxy, 'run'], {
      WEFT_STATIC_CONFIG: file,
      WEFT_POD_NAMESPACE: 'default',
      WEFT_POD_NAME: name,
      WEFT_INBOUND_LISTEN: `127.0.0.1:${ports.inbound}`,
      WEFT_OUTBOUND_LISTEN: `127.0.0.1:${ports.outbound}`,
      WEFT_ADMIN_LISTEN: `127.0.0.1:${ports.admin}`,
    });
  };
  return [
    half('client', { inbound: 4153, outbound: listen.weft.client, admin: 4181 }),
    half('server', { inbound: listen.weft.server, outbound: 4150, admin: 4191 }),
  ];
}
