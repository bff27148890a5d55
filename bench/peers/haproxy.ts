import type { CertificateFiles } from '../certificates.ts';
import type { AllAddresses } from '../network.ts';

const common = `global
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

export function haproxyClient({ http, grpc, tcp }: AllAddresses, files: CertificateFiles): string {
  const secure = `ssl crt ${files.client.combined} ca-file ${files.ca} verify required verifyhost app.local sni str(app.local)`;
  return `${common}listen http
  bind ${http.client}
  server peer ${http.peer} ${secure} pool-max-conn 512
listen grpc
  bind ${grpc.client} proto h2
  server peer ${grpc.peer} ${secure} alpn h2 pool-max-conn 512
listen tcp
  mode tcp
  bind ${tcp.client}
  server peer ${tcp.peer} ${secure}
`;
}

export function haproxyServer({ http, grpc, tcp }: AllAddresses, files: CertificateFiles): string {
  const secure = `ssl crt ${files.server.combined} ca-file ${files.ca} verify required`;
  return `${common}listen http
  bind ${http.server} ${secure}
  server app ${http.app} pool-max-conn 512
listen grpc
  bind ${grpc.server} ${secure} alpn h2
  server app ${grpc.app} proto h2 pool-max-conn 512
listen tcp
  mode tcp
  bind ${tcp.server} ${secure}
  server app ${tcp.app}
`;
}
