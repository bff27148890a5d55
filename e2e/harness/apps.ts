import type { KubernetesObject } from './node.ts';
import { testappImage } from './images.ts';

export interface AppOptions {
  readonly name: string;
  readonly namespace: string;
  /** What its answers say of it; default its name. */
  readonly says?: string;
  readonly replicas?: number;
  readonly serviceAccount?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Over the application's container, e.g. its probes. */
  readonly container?: Readonly<Record<string, unknown>>;
  /** Over the pod's spec. */
  readonly pod?: Readonly<Record<string, unknown>>;
  /** false: the pod is left outside the mesh whatever its namespace says. */
  readonly meshed?: boolean;
  /** The server shares the node's network; its ports are ten thousand higher there. */
  readonly hostNetwork?: boolean;
  /** Number of the server's port `http`; default 8080. */
  readonly httpPort?: number;
}

const ports = { http: 8080, grpc: 9090, tcp: 7000, banner: 7025, probed: 7001, mirror: 7002, udp: 7053 } as const;

function deployment(
  options: AppOptions,
  args: readonly string[],
  containerPorts: readonly object[],
  healthPort: number,
): KubernetesObject {
  const labels = { app: options.name, ...options.labels };
  const annotations = {
    ...(options.meshed === false ? { 'weft.dev/inject': 'disabled' } : {}),
    ...options.annotations,
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: options.name, namespace: options.namespace },
    spec: {
      replicas: options.replicas ?? 1,
      selector: { matchLabels: { app: options.name } },
      template: {
        metadata: { labels, annotations },
        spec: {
          ...(options.serviceAccount === undefined ? {} : { serviceAccountName: options.serviceAccount }),
          ...(options.hostNetwork === true ? { hostNetwork: true } : {}),
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: 'app',
              image: testappImage,
              imagePullPolicy: 'IfNotPresent',
              args,
              ports: containerPorts,
              readinessProbe: { httpGet: { path: '/healthz', port: healthPort }, periodSeconds: 1 },
              ...options.container,
            },
          ],
          ...options.pod,
        },
      },
    },
  };
}

const account = (namespace: string, name: string): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace },
});

/** A server Deployment that names itself in every answer, with its service account. */
export function serverApp(options: AppOptions): KubernetesObject[] {
  const above = options.hostNetwork === true ? 10_000 : 0;
  const numbers = { ...ports, http: options.httpPort ?? ports.http };
  const listening = Object.entries(numbers).map(([name, port]) => ({ name, containerPort: port + above }));
  const flags = listening.flatMap(({ name, containerPort }) => [`--${name}`, `:${containerPort}`]);
  const args = ['server', '--name', options.says ?? options.name, ...flags, ...(options.args ?? [])];
  const declared = listening.map(port => (port.name === 'udp' ? { ...port, protocol: 'UDP' } : port));
  const accounts = options.serviceAccount === undefined ? [] : [account(options.namespace, options.serviceAccount)];
  return [...accounts, deployment(options, args, declared, numbers.http + above)];
}

/** A pod that sends load and is steered over port 8099, which stays outside the mesh so that policy never cuts the test off. */
export function clientPod(options: AppOptions): KubernetesObject[] {
  const annotations = { 'weft.dev/skip-inbound-ports': '8099', ...options.annotations };
  const accounts = options.serviceAccount === undefined ? [] : [account(options.namespace, options.serviceAccount)];
  return [
    ...accounts,
    deployment({ ...options, annotations }, ['client'], [{ name: 'steer', containerPort: 8099 }], 8099),
  ];
}

/** A ClusterIP Service on the server's four ports; `selects` defaults to the application of the same name. */
export function service(
  namespace: string,
  name: string,
  selects: Readonly<Record<string, string>> = { app: name },
): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      selector: selects,
      ipFamilyPolicy: 'PreferDualStack',
      ports: [
        { name: 'http', port: 80, targetPort: 'http' },
        { name: 'grpc', port: 9090, targetPort: 'grpc', appProtocol: 'grpc' },
        { name: 'tcp', port: 7000, targetPort: 'tcp' },
        { name: 'banner', port: 7025, targetPort: 'banner' },
      ],
    },
  };
}

/** A TrafficSplit named `web` on the Service `web`, in the form that clients of `version` write. */
export function trafficSplit(
  namespace: string,
  weights: Readonly<Record<string, number | string>>,
  version = 'v1alpha4',
): KubernetesObject {
  return {
    apiVersion: `split.smi-spec.io/${version}`,
    kind: 'TrafficSplit',
    metadata: { name: 'web', namespace },
    spec: { service: 'web', backends: Object.entries(weights).map(([name, weight]) => ({ service: name, weight })) },
  };
}

/** Two versions behind the apex `web` (Services `web-v1` and `web-v2`, which answer `v1` and `v2`) and a meshed client. */
export function twoVersions(namespace: string): KubernetesObject[] {
  const versions = ['v1', 'v2'];
  return [
    service(namespace, 'web', { tier: 'web' }),
    ...versions.map(says => service(namespace, `web-${says}`, { app: `web-${says}` })),
    ...versions.flatMap(says => serverApp({ namespace, name: `web-${says}`, says, labels: { tier: 'web' } })),
    ...clientPod({ namespace, name: 'client' }),
  ];
}
