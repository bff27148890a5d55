// Configuration of the peers: the same certificates, TLS 1.3 with AES-128-GCM, mutual verification, one thread each.

/** Where one pair listens and what it connects to. */
export interface PairAddresses {
  /** The client half's listener. */
  readonly client: string;
  /** What the client half connects to; redirected to `server`. */
  readonly peer: string;
  /** The server half's listener. */
  readonly server: string;
  readonly app: string;
}

/** PEM files; `combined` holds certificate and key as HAProxy wants them. */
export interface CertificateFiles {
  readonly ca: string;
  readonly client: { readonly cert: string; readonly key: string; readonly combined: string };
  readonly server: { readonly cert: string; readonly key: string; readonly combined: string };
}

const haproxyCommon = `global
  nbthread 1
  maxconn 4096
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-server-options ssl-min-ver TLSv1.3
  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
`;

export function haproxyClient(addresses: PairAddresses, files: CertificateFiles): string {
  return `${haproxyCommon}listen c
  bind ${addresses.client}
  server peer ${addresses.peer} ssl crt ${files.client.combined} ca-file ${files.ca} verify required verifyhost app.local sni str(app.local) pool-max-conn 512
`;
}

export function haproxyServer(addresses: PairAddresses, files: CertificateFiles): string {
  return `${haproxyCommon}listen s
  bind ${addresses.server} ssl crt ${files.server.combined} ca-file ${files.ca} verify required
  server app ${addresses.app} pool-max-conn 512
`;
}

function nginx(folder: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ');
  return `worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http { ${temporary} access_log off; tcp_nodelay on; keepalive_timeout 300; keepalive_requests 1000000000;
${http}
}
`;
}

const keptUpstream = (address: string): string =>
  `upstream u { server ${address}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 300s; }`;

export function nginxClient(folder: string, addresses: PairAddresses, files: CertificateFiles): string {
  return nginx(
    folder,
    `${keptUpstream(addresses.peer)}
server { listen ${addresses.client}; location / { proxy_pass https://u; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_ssl_certificate ${files.client.cert}; proxy_ssl_certificate_key ${files.client.key}; proxy_ssl_trusted_certificate ${files.ca};
  proxy_ssl_verify on; proxy_ssl_name app.local; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;
  proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; } }`,
  );
}

export function nginxServer(folder: string, addresses: PairAddresses, files: CertificateFiles): string {
  return nginx(
    folder,
    `${keptUpstream(addresses.app)}
server { listen ${addresses.server} ssl; ssl_certificate ${files.server.cert}; ssl_certificate_key ${files.server.key};
  ssl_client_certificate ${files.ca}; ssl_verify_client on; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
  );
}

/** The application: one nginx worker that serves a small file from memory. */
export function application(folder: string, root: string, port: number): string {
  return nginx(
    folder,
    `sendfile on; tcp_nopush on; etag off; open_file_cache max=10 inactive=1h; open_file_cache_valid 1h;
server { listen 0.0.0.0:${port} backlog=1024; root ${root}; }`,
  );
}
