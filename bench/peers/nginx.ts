import type { CertificateFiles } from '../certificates.ts';
import { appPorts, type AllAddresses, heldPort } from '../network.ts';

const temporary = (folder: string): string =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/${kind};`).join(' ');

function nginx(folder: string, http: string, stream: string | undefined): string {
  return `${stream === undefined ? '' : 'load_module modules/ngx_stream_module.so;\n'}worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http { ${temporary(folder)} access_log off; tcp_nodelay on; keepalive_timeout 300; keepalive_requests 1000000000;
${http}
}
${stream === undefined ? '' : `stream {\n${stream}\n}\n`}`;
}

const kept = (name: string, address: string): string =>
  `upstream ${name} { server ${address}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 300s; }`;

/** `tcp`: whether nginx has its stream module. */
interface Options {
  readonly folder: string;
  readonly tcp: boolean;
}

export function nginxClient({ folder, tcp: bytes }: Options, addresses: AllAddresses, files: CertificateFiles): string {
  const { http, grpc, tcp } = addresses;
  const secure = (prefix: string): string =>
    [
      `${prefix}_ssl_certificate ${files.client.cert}; ${prefix}_ssl_certificate_key ${files.client.key};`,
      `${prefix}_ssl_trusted_certificate ${files.ca}; ${prefix}_ssl_verify on; ${prefix}_ssl_name app.local; ${prefix}_ssl_server_name on;`,
      `${prefix}_ssl_protocols TLSv1.3; ${prefix}_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;`,
    ].join('\n  ');
  return nginx(
    folder,
    `${kept('u', http.peer)}
${kept('g', grpc.peer)}
server { listen ${http.client}; location / { proxy_pass https://u; proxy_http_version 1.1; proxy_set_header Connection "";
  ${secure('proxy')} } }
server { listen ${grpc.client} http2; location / { grpc_pass grpcs://g;
  ${secure('grpc')} } }`,
    bytes
      ? `server { listen ${tcp.client}; proxy_pass ${tcp.peer}; proxy_ssl on; tcp_nodelay on;
  ${secure('proxy')} }`
      : undefined,
  );
}

export function nginxServer({ folder, tcp: bytes }: Options, addresses: AllAddresses, files: CertificateFiles): string {
  const { http, grpc, tcp } = addresses;
  const secure = `ssl_certificate ${files.server.cert}; ssl_certificate_key ${files.server.key};
  ssl_client_certificate ${files.ca}; ssl_verify_client on; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;`;
  return nginx(
    folder,
    `${kept('u', http.app)}
${kept('g', grpc.app)}
server { listen ${http.server} ssl; ${secure}
  location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } }
server { listen ${grpc.server} ssl http2; ${secure}
  location / { grpc_pass grpc://g; } }`,
    bytes ? `server { listen ${tcp.server} ssl; ${secure} tcp_nodelay on; proxy_pass ${tcp.app}; }` : undefined,
  );
}

/** The application: one nginx worker that serves small files from memory, and hands on what is to be held. */
export function application(folder: string, root: string): string {
  return nginx(
    folder,
    `sendfile on; tcp_nopush on; etag off; open_file_cache max=10 inactive=1h; open_file_cache_valid 1h;
${kept('held', `127.0.0.1:${heldPort}`)}
server { listen 0.0.0.0:${appPorts.http} backlog=4096; root ${root};
  location /held { proxy_pass http://held; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
    undefined,
  );
}
