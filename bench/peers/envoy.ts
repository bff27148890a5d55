// Envoy in two shapes: bare (a listener, the router, mutual TLS, nothing else), and mesh-like, with what a mesh switches on: statistics, an admin
// listener, request ids, authorisation, statistics of each route, retries, outlier detection, least-request balancing, peer metadata in headers.
// Neither writes an access log. The mesh-like shape is not Istio: no filters of Istio's own, no telemetry.
import type { CertificateFiles } from '../certificates.ts';
import type { AllAddresses, Protocol } from '../network.ts';
import { identities } from '../weft.ts';

export interface EnvoyOptions {
  readonly half: 'client' | 'server';
  readonly mesh: boolean;
  readonly adminPort: number;
}

const type = (name: string): { '@type': string } => ({ '@type': `type.googleapis.com/${name}` });

function socket(address: string): object {
  const [host, port] = address.split(':');
  return { socket_address: { address: host, port_value: Number(port) } };
}

/** What Istio's proxies tell each other about themselves is about this long. */
const metadata = Buffer.from(
  'labels:app=bench;namespace=default;cluster=Kubernetes;workload=bench;'.repeat(3),
).toString('base64');

function tls(half: 'client' | 'server', files: CertificateFiles): object {
  const other = half === 'client' ? 'server' : 'client';
  const common = {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [
      { certificate_chain: { filename: files[half].cert }, private_key: { filename: files[half].key } },
    ],
    validation_context: {
      trusted_ca: { filename: files.ca },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: identities[other] } }],
    },
  };
  const context = half === 'client' ? 'UpstreamTlsContext' : 'DownstreamTlsContext';
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      ...type(`envoy.extensions.transport_sockets.tls.v3.${context}`),
      common_tls_context: common,
      ...(half === 'client' ? { sni: 'app.local' } : { require_client_certificate: true }),
    },
  };
}

const anyone = { any: true };
const theClient = { authenticated: { principal_name: { exact: identities.client } } };
const rules = { action: 'ALLOW', policies: { client: { permissions: [anyone], principals: [theClient] } } };

function route(protocol: Protocol, { half, mesh }: EnvoyOptions): object {
  const action = {
    cluster: protocol,
    timeout: '0s',
    ...(mesh && half === 'client'
      ? {
          retry_policy: {
            retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
            retriable_status_codes: [503],
            num_retries: 2,
          },
        }
      : {}),
  };
  const header = { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD', header: { key: 'x-peer-metadata', value: metadata } };
  const told = half === 'client' ? { request_headers_to_add: [header] } : { response_headers_to_add: [header] };
  return { match: { prefix: '/' }, route: action, ...(mesh ? { stat_prefix: protocol, ...told } : {}) };
}

function httpFilters({ half, mesh }: EnvoyOptions): object[] {
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: {
      ...type('envoy.extensions.filters.http.router.v3.Router'),
      ...(mesh ? {} : { dynamic_stats: false }),
    },
  };
  if (!mesh || half === 'client') return [router];
  return [
    { name: 'envoy.filters.http.rbac', typed_config: { ...type('envoy.extensions.filters.http.rbac.v3.RBAC'), rules } },
    router,
  ];
}

function networkFilters(protocol: Protocol, options: EnvoyOptions): object[] {
  if (protocol !== 'tcp') {
    return [
      {
        name: 'envoy.filters.network.http_connection_manager',
        typed_config: {
          ...type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
          stat_prefix: protocol,
          codec_type: protocol === 'grpc' ? 'HTTP2' : 'HTTP1',
          generate_request_id: options.mesh,
          route_config: { virtual_hosts: [{ name: protocol, domains: ['*'], routes: [route(protocol, options)] }] },
          http_filters: httpFilters(options),
        },
      },
    ];
  }
  const proxy = {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      ...type('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'),
      stat_prefix: protocol,
      cluster: protocol,
    },
  };
  if (!options.mesh || options.half === 'client') return [proxy];
  const rbac = {
    name: 'envoy.filters.network.rbac',
    typed_config: { ...type('envoy.extensions.filters.network.rbac.v3.RBAC'), stat_prefix: protocol, rules },
  };
  return [rbac, proxy];
}

function cluster(protocol: Protocol, address: string, options: EnvoyOptions, secure: object | undefined): object {
  const most = 1_000_000;
  const threshold = {
    max_connections: most,
    max_pending_requests: most,
    max_requests: most,
    max_retries: most,
  };
  const version = protocol === 'grpc' ? 'http2_protocol_options' : 'http_protocol_options';
  return {
    name: protocol,
    type: 'STATIC',
    connect_timeout: '5s',
    ...(options.mesh ? { lb_policy: 'LEAST_REQUEST', outlier_detection: { consecutive_5xx: 5 } } : {}),
    circuit_breakers: { thresholds: [threshold] },
    ...(protocol === 'tcp'
      ? {}
      : {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              ...type('envoy.extensions.upstreams.http.v3.HttpProtocolOptions'),
              explicit_http_config: { [version]: {} },
            },
          },
        }),
    load_assignment: {
      cluster_name: protocol,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(address) } }] }],
    },
    ...(secure === undefined ? {} : { transport_socket: secure }),
  };
}

/** Envoy's bootstrap for one half of a pair, as JSON. */
export function envoy(options: EnvoyOptions, addresses: AllAddresses, files: CertificateFiles): string {
  const { half, mesh } = options;
  const secure = tls(half, files);
  const all = Object.entries(addresses) as [Protocol, AllAddresses[Protocol]][];
  return JSON.stringify({
    ...(mesh ? { admin: { address: socket(`127.0.0.1:${options.adminPort}`) } } : {}),
    ...(mesh ? {} : { stats_config: { stats_matcher: { reject_all: true } } }),
    static_resources: {
      listeners: all.map(([protocol, at]) => ({
        name: protocol,
        address: socket(half === 'client' ? at.client : at.server),
        filter_chains: [
          {
            filters: networkFilters(protocol, options),
            ...(half === 'server' ? { transport_socket: secure } : {}),
          },
        ],
      })),
      clusters: all.map(([protocol, at]) =>
        half === 'client' ? cluster(protocol, at.peer, options, secure) : cluster(protocol, at.app, options, undefined),
      ),
    },
  });
}
