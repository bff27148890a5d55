import { join } from 'node:path';
import { apiServerPort, clusterNetwork, dualStack, nodeAddress, serviceNetwork } from './addresses.ts';
import type { ClusterPaths } from './paths.ts';

/** Names of the programs, as `component()` takes them. Start order is this order. */
export const programNames = [
  'etcd',
  'containerd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
] as const;
export type ProgramName = (typeof programNames)[number];

export interface ApiAddresses {
  etcdPort: number;
  etcdPeerPort: number;
  /** Where the API server listens, and what it tells others to call. */
  bind: string;
  advertise: string;
  port: number;
}

export const nodeApiAddresses: ApiAddresses = {
  etcdPort: 2379,
  etcdPeerPort: 2380,
  bind: '0.0.0.0',
  advertise: nodeAddress.ipv4,
  port: apiServerPort,
};

// No fsync: the data lives no longer than the tests.
export function etcdCommand(paths: ClusterPaths, { etcdPort, etcdPeerPort }: ApiAddresses): string[] {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${etcdPeerPort}`;
  return [
    'etcd',
    '--unsafe-no-fsync',
    `--data-dir=${join(paths.data, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--log-level=warn',
  ];
}

export function apiServerCommand(paths: ClusterPaths, programs: string, addresses: ApiAddresses): string[] {
  const certificate = (file: string) => join(paths.certificates, file);
  return [
    join(programs, 'kube-apiserver'),
    `--etcd-servers=http://127.0.0.1:${addresses.etcdPort}`,
    `--bind-address=${addresses.bind}`,
    `--advertise-address=${addresses.advertise}`,
    `--secure-port=${addresses.port}`,
    `--client-ca-file=${certificate('ca.crt')}`,
    `--tls-cert-file=${certificate('kube-apiserver.crt')}`,
    `--tls-private-key-file=${certificate('kube-apiserver.key')}`,
    `--kubelet-client-certificate=${certificate('kube-apiserver-client.crt')}`,
    `--kubelet-client-key=${certificate('kube-apiserver-client.key')}`,
    // Otherwise exec and logs try to resolve the node's name.
    '--kubelet-preferred-address-types=InternalIP',
    `--service-account-key-file=${certificate('sa.pub')}`,
    `--service-account-signing-key-file=${certificate('sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-cluster-ip-range=${dualStack(serviceNetwork)}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    // Webhooks are called at the pods' own addresses: they answer as soon as the endpoint exists.
    '--enable-aggregator-routing=true',
    `--requestheader-client-ca-file=${certificate('ca.crt')}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${certificate('front-proxy-client.crt')}`,
    `--proxy-client-key-file=${certificate('front-proxy-client.key')}`,
    '--profiling=false',
    // Open watches are ended instead of being waited for: otherwise a stop takes a minute.
    '--shutdown-watch-termination-grace-period=500ms',
  ];
}

export function nodeCommands(paths: ClusterPaths, programs: string): Record<ProgramName, string[]> {
  const config = (file: string) => join(paths.config, file);
  const certificate = (file: string) => join(paths.certificates, file);
  return {
    etcd: etcdCommand(paths, nodeApiAddresses),
    containerd: ['containerd', `--config=${config('containerd.toml')}`],
    'kube-apiserver': apiServerCommand(paths, programs, nodeApiAddresses),
    'kube-controller-manager': [
      join(programs, 'kube-controller-manager'),
      `--kubeconfig=${config('kube-controller-manager.kubeconfig')}`,
      `--service-account-private-key-file=${certificate('sa.key')}`,
      `--root-ca-file=${certificate('ca.crt')}`,
      `--cluster-signing-cert-file=${certificate('ca.crt')}`,
      `--cluster-signing-key-file=${certificate('ca.key')}`,
      '--use-service-account-credentials=true',
      '--leader-elect=false',
      '--allocate-node-cidrs=true',
      `--cluster-cidr=${dualStack(clusterNetwork)}`,
      `--service-cluster-ip-range=${dualStack(serviceNetwork)}`,
      '--node-cidr-mask-size-ipv4=24',
      '--node-cidr-mask-size-ipv6=64',
      // The one node is there as long as its kubelet is. When tests take the API server or etcd away, heartbeats are missed, and some time afterwards all
      // endpoints would be taken for unready for ten seconds, whatever is being looked at by then.
      '--node-monitor-grace-period=1h',
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ],
    'kube-scheduler': [
      join(programs, 'kube-scheduler'),
      `--kubeconfig=${config('kube-scheduler.kubeconfig')}`,
      '--leader-elect=false',
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ],
    kubelet: [
      join(programs, 'kubelet'),
      `--config=${config('kubelet.yaml')}`,
      `--kubeconfig=${config('kubelet.kubeconfig')}`,
      `--hostname-override=${paths.name}`,
      `--node-ip=${dualStack(nodeAddress)}`,
    ],
    'kube-proxy': [join(programs, 'kube-proxy'), `--config=${config('kube-proxy.yaml')}`],
  };
}
