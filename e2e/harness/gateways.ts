import { ensureImage, imageTag } from '../../tools/image/index.ts';
import { loadImage } from '../cluster/index.ts';
import { clusterName, type KubernetesObject } from './node.ts';

/** Where every gateway listens. */
const PORT = 8000;

export type Gateway = 'nginx' | 'haproxy';

/**
 * Configurations as ingress controllers write them: the upstreams are the addresses of pods, and the client's Host is passed on. `/direct` goes to the
 * last of the pods under the pod's own address, as a scraper would ask.
 */
const configs: Readonly<Record<Gateway, (pods: readonly string[]) => Readonly<Record<string, string>>>> = {
  nginx: pods => ({
    'nginx.conf': `daemon off;
pid /tmp/nginx.pid;
error_log stderr;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  upstream pods {
${pods.map(pod => `    server ${pod};`).join('\n')}
    keepalive 8;
  }
  server {
    listen ${PORT};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / {
      proxy_pass http://pods;
      proxy_set_header Host $host;
    }
    location = /direct { proxy_pass http://${pods.at(-1) ?? ''}; }
    location = /gateway { return 200; }
  }
}
`,
  }),
  haproxy: pods => ({
    'haproxy.cfg': `global
  log stdout format raw local0 err
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend all
  bind :${PORT}
  monitor-uri /gateway
  use_backend direct if { path /direct }
  default_backend pods
backend pods
  option httpchk GET /healthz
${pods.map((pod, index) => `  server s${index} ${pod} check`).join('\n')}
backend direct
  http-request set-header Host ${pods.at(-1) ?? ''}
  server direct ${pods.at(-1) ?? ''}
`,
  }),
};

/** A gateway with its own service account, in front of pods that run already (`address:port`); loads its image onto the node. */
export async function gateway(
  program: Gateway,
  options: {
    readonly namespace: string;
    readonly name: string;
    readonly pods: readonly string[];
    readonly meshed?: boolean;
  },
): Promise<KubernetesObject[]> {
  await loadImage(clusterName, await ensureImage(program));
  const { namespace, name } = options;
  const labels = { app: name };
  const annotations = options.meshed === false ? { 'weft.dev/inject': 'disabled' } : {};
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: configs[program](options.pods) },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels, annotations },
          spec: {
            serviceAccountName: name,
            terminationGracePeriodSeconds: 5,
            volumes: [{ name: 'config', configMap: { name } }],
            containers: [
              {
                name: 'gateway',
                image: imageTag(program),
                imagePullPolicy: 'IfNotPresent',
                ports: [{ name: 'http', containerPort: PORT }],
                volumeMounts: [{ name: 'config', mountPath: '/config' }],
                readinessProbe: { httpGet: { path: '/gateway', port: PORT }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
  ];
}

/** `address:port` of a gateway's pod. */
export function gatewayAddress(podAddress: string): string {
  return `${podAddress}:${PORT}`;
}
