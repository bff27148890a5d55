// Every setting of the operator: one table, from which flags, environment variables, `--help` and the reference page are made.
import { err, ok, type Result } from '../kernel/index.ts';
import { LOG_LEVELS, type LogLevel } from '../telemetry/index.ts';

/**
 * Parts that a process can run. `config` serves proxies; the others write to, or answer questions of, the cluster. `canary` runs in a process, and with
 * rights, of its own, and is not among all.
 */
export const PARTS = [
  'config',
  'webhooks',
  'api',
  'status',
  'trust-bundle',
  'mesh-config',
  'webhook-config',
  'unmeshed',
  'canary',
] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  readonly controllers: ReadonlySet<Part>;
  readonly namespace: string;
  /** Empty: all. */
  readonly watchNamespaces: readonly string[];
  readonly podName: string;
  readonly serviceName: string;
  readonly peersServiceName: string;
  readonly clusterDomain: string;
  readonly kubeconfig: string;
  readonly logLevel: LogLevel;
  readonly proxyImage: string;
  readonly proxyImagePullPolicy: string;
  readonly configPort: number;
  readonly webhookPort: number;
  readonly webhookIssuer: IssuerRef | undefined;
  readonly apiPort: number;
  readonly adminPort: number;
  readonly queryPort: number;
  /** `loopback`, or `namespace/serviceaccount`. */
  readonly queryAllow: readonly string[];
  readonly peersPort: number;
  readonly evictUnmeshed: boolean;
  readonly metricsServer: string;
  readonly canaryClass: string;
  readonly shutdownMs: number;
}

interface Row<T> {
  readonly flag: string;
  readonly env: string;
  readonly value: string;
  readonly fallback: string;
  readonly help: string;
  readonly read: (text: string) => Result<T, string>;
}

/** `Kind/name` of an issuer of cert-manager; undefined for the empty text. */
export interface IssuerRef {
  readonly kind: string;
  readonly name: string;
}

type Table = { readonly [K in keyof Options]: Row<Options[K]> };

const anyText = (text: string): Result<string, string> => ok(text);
const someText = (text: string): Result<string, string> => (text === '' ? err('must not be empty') : ok(text));

const oneOf =
  <T extends string>(words: readonly T[]) =>
  (text: string): Result<T, string> => {
    const word = words.find(candidate => candidate === text);
    return word === undefined ? err(`must be one of ${words.join(', ')}`) : ok(word);
  };

function port(text: string): Result<number, string> {
  const number = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return number <= 65535 ? ok(number) : err('must be a port between 0 and 65535');
}

function issuer(text: string): Result<IssuerRef | undefined, string> {
  if (text === '') return ok(undefined);
  const [, kind = '', name = ''] = /^(Issuer|ClusterIssuer)\/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/.exec(text) ?? [];
  return kind === '' ? err('must be Issuer/<name> or ClusterIssuer/<name>') : ok({ kind, name });
}

function seconds(text: string): Result<number, string> {
  return /^[0-9]{1,4}$/.test(text) ? ok(Number(text) * 1000) : err('must be a whole number of seconds');
}

function metricsServer(text: string): Result<string, string> {
  return text === '' || /^https?:\/\/[^/]+/.test(text) ? ok(text) : err('must begin with http:// or https://');
}

function yesOrNo(text: string): Result<boolean, string> {
  return text === 'true' || text === 'false' ? ok(text === 'true') : err('must be true or false');
}

function parts(text: string): Result<ReadonlySet<Part>, string> {
  if (text === 'all') return ok(new Set(PARTS.filter(part => part !== 'canary')));
  const chosen = new Set<Part>();
  for (const word of text.split(',')) {
    const part = oneOf(PARTS)(word.trim());
    if (!part.ok) return err(`"${word}" ${part.error}, or all`);
    chosen.add(part.value);
  }
  if (chosen.has('canary') && chosen.size > 1)
    return err('canary must stand alone: it reads Secrets, and the other parts hold the issuer’s key');
  return ok(chosen);
}

function namespaces(text: string): Result<readonly string[], string> {
  const names = text.split(',').map(name => name.trim());
  if (text.trim() === '') return ok([]);
  const bad = names.find(name => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name));
  return bad === undefined ? ok([...new Set(names)]) : err(`"${bad}" is no name of a namespace`);
}

function callers(text: string): Result<readonly string[], string> {
  const words = text.split(',').map(word => word.trim());
  if (text.trim() === '') return ok([]);
  const bad = words.find(
    word => word !== 'loopback' && !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(word),
  );
  return bad === undefined ? ok([...new Set(words)]) : err(`"${bad}" is neither loopback nor namespace/serviceaccount`);
}

const text = (flag: string, env: string, fallback: string, help: string): Row<string> => ({
  flag,
  env,
  value: 'text',
  fallback,
  help,
  read: someText,
});

const portRow = (flag: string, env: string, fallback: number, ...[help]: [string]): Row<number> => ({
  flag,
  env,
  value: 'port',
  fallback: String(fallback),
  help,
  read: port,
});

export const TABLE: Table = {
  controllers: {
    flag: 'controllers',
    env: 'WEFT_CONTROLLERS',
    value: 'list',
    fallback: 'all',
    help: `Parts to run, with commas between: ${PARTS.join(', ')}; or all, which is all but canary.`,
    read: parts,
  },
  namespace: text(
    'namespace',
    'WEFT_NAMESPACE',
    'weft-system',
    'The control namespace: where the operator runs and keeps its Secrets.',
  ),
  watchNamespaces: {
    flag: 'watch-namespaces',
    env: 'WEFT_WATCH_NAMESPACES',
    value: 'list',
    fallback: '',
    help: 'Namespaces to look at, with commas between; empty is all. Pods of others are outside the mesh, and Services there unknown destinations.',
    read: namespaces,
  },
  podName: text(
    'pod-name',
    'WEFT_POD_NAME',
    'weft-operator',
    'Name of this pod; names the replica in the lease and in answers.',
  ),
  serviceName: text(
    'service-name',
    'WEFT_SERVICE_NAME',
    'weft-operator',
    'Service by which proxies and the API server reach the operator.',
  ),
  peersServiceName: text(
    'peers-service-name',
    'WEFT_PEERS_SERVICE_NAME',
    'weft-operator-peers',
    'Headless Service by which the replicas find each other.',
  ),
  clusterDomain: text('cluster-domain', 'WEFT_CLUSTER_DOMAIN', 'cluster.local', 'DNS name of the cluster.'),
  kubeconfig: {
    ...text(
      'kubeconfig',
      'WEFT_KUBECONFIG',
      '',
      'Path of a kubeconfig; empty: the pod’s service account, or the usual places.',
    ),
    read: anyText,
  },
  logLevel: {
    ...text('log-level', 'WEFT_LOG_LEVEL', 'info', `One of ${LOG_LEVELS.join(', ')}.`),
    value: 'level',
    read: oneOf(LOG_LEVELS),
  },
  proxyImage: text(
    'proxy-image',
    'WEFT_PROXY_IMAGE',
    'localhost/weft-proxy:0.1.0',
    'Image of the proxy that is injected.',
  ),
  proxyImagePullPolicy: {
    ...text('proxy-image-pull-policy', 'WEFT_PROXY_IMAGE_PULL_POLICY', 'IfNotPresent', 'Pull policy of that image.'),
    value: 'policy',
    read: oneOf(['Always', 'IfNotPresent', 'Never']),
  },
  configPort: portRow(
    'config-port',
    'WEFT_CONFIG_PORT',
    8086,
    'gRPC over TLS: configuration and identity for proxies.',
  ),
  webhookPort: portRow('webhook-port', 'WEFT_WEBHOOK_PORT', 8443, 'HTTPS: admission webhooks.'),
  webhookIssuer: {
    ...text(
      'webhook-issuer',
      'WEFT_WEBHOOK_ISSUER',
      '',
      'Issuer of cert-manager for the certificate of webhooks and operator API, as Issuer/<name> (in the namespace of the operator) or ClusterIssuer/<name>; empty: made by the operator itself.',
    ),
    value: 'kind/name',
    read: issuer,
  },
  apiPort: portRow('api-port', 'WEFT_API_PORT', 8090, 'HTTPS: the operator API.'),
  adminPort: portRow('admin-port', 'WEFT_ADMIN_PORT', 9990, 'HTTP: /livez, /readyz, /metrics.'),
  peersPort: portRow('peers-port', 'WEFT_PEERS_PORT', 8087, 'gRPC over TLS: what replicas tell each other.'),
  queryPort: portRow(
    'query-port',
    'WEFT_QUERY_PORT',
    8091,
    'HTTPS, and HTTP for whom --query-allow names: golden signals by the query API of Prometheus.',
  ),
  queryAllow: {
    flag: 'query-allow',
    env: 'WEFT_QUERY_ALLOW',
    value: 'list',
    fallback: '',
    help: 'Who may read all golden signals without TLS and token, with commas between: namespace/serviceaccount of pods, known by the address that they call from, or loopback. Empty is nobody.',
    read: callers,
  },
  evictUnmeshed: {
    flag: 'evict-unmeshed',
    env: 'WEFT_EVICT_UNMESHED',
    value: 'true|false',
    fallback: 'false',
    help: 'Evict pods that should have a proxy and have none, one at a time, where a controller makes them anew.',
    read: yesOrNo,
  },
  metricsServer: {
    ...text(
      'metrics-server',
      'WEFT_METRICS_SERVER',
      '',
      'For canaries: address of the Prometheus that is asked where neither Canary nor MetricTemplate names one; empty: the query API of the operator, http://weft-operator.<namespace>.svc:8091.',
    ),
    value: 'url',
    read: metricsServer,
  },
  canaryClass: {
    ...text(
      'canary-class',
      'WEFT_CANARY_CLASS',
      '',
      'For canaries: act on those alone whose annotation weft.dev/canary-class says this; empty: on those without it.',
    ),
    read: anyText,
  },
  shutdownMs: {
    flag: 'shutdown-seconds',
    env: 'WEFT_SHUTDOWN_SECONDS',
    value: 'seconds',
    fallback: '20',
    help: 'Longest time from SIGTERM to the end of the process; shorter than terminationGracePeriodSeconds.',
    read: seconds,
  },
};

export type Parsed =
  | { readonly kind: 'run'; readonly options: Options }
  | { readonly kind: 'help'; readonly text: string };

const rows: readonly (readonly [keyof Options, Row<unknown>])[] = Object.entries(TABLE) as [
  keyof Options,
  Row<unknown>,
][];

/** Flags win over the environment, and the environment over the table. An empty environment variable counts as absent. */
export function parseOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Result<Parsed, string> {
  const given = new Map<string, string>();
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? '';
    if (argument === '--help' || argument === '-h') return ok({ kind: 'help', text: helpText() });
    const [, flag = '', inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argument) ?? [];
    if (!rows.some(([, row]) => row.flag === flag)) return err(`unknown argument ${argument}; --help lists all`);
    const value = inline ?? argv[++index];
    if (value === undefined) return err(`--${flag} needs a value`);
    given.set(flag, value);
  }
  const options: Partial<Record<keyof Options, unknown>> = {};
  for (const [name, row] of rows) {
    const value = given.get(row.flag) ?? (env[row.env] || row.fallback);
    const read = row.read(value);
    if (!read.ok) return err(`--${row.flag} (${row.env}) is "${value}": ${read.error}`);
    options[name] = read.value;
  }
  // The table has a row for every option, which its type makes sure of.
  return ok({ kind: 'run', options: options as unknown as Options });
}

export function helpText(): string {
  const lines = rows.map(([, row]) => {
    const fallback = row.fallback === '' ? '' : ` [${row.fallback}]`;
    return `  --${row.flag} <${row.value}>\n      ${row.help}${fallback}\n      Environment: ${row.env}`;
  });
  return `weft-operator: the control plane of Weft.\n\nUsage: weft-operator [options]\n\n${lines.join('\n')}\n`;
}

/** The same table for the documentation. */
export function optionsMarkdown(): string {
  const lines = rows.map(([, row]) => {
    const fallback = row.fallback === '' ? '' : `\`${row.fallback}\``;
    return `| \`--${row.flag}\` | \`${row.env}\` | ${fallback} | ${row.help} |`;
  });
  return ['| flag | environment | default | meaning |', '|---|---|---|---|', ...lines, ''].join('\n');
}
