import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { clusterNetwork, dnsServiceAddress, dualStack, outsideAddress, podBridge, podNetwork } from './addresses.ts';
import type { ClusterPaths } from './paths.ts';

/** Where Debian's packages put the plugins. */
const cniPlugins = '/usr/lib/cni';

/** Path inside the node's mount namespace. */
export const containerdSocket = '/run/containerd/containerd.sock';

/** Configuration files of containerd, the CNI plugins, kubelet and kube-proxy. */
export async function writeNodeConfig(paths: ClusterPaths): Promise<void> {
  const { programs, configurations } = paths.cni;
  for (const folder of [programs, configurations]) await mkdir(folder, { recursive: true });
  await Promise.all([
    ...(await readdir(cniPlugins)).map(name => symlink(join(cniPlugins, name), join(programs, name))),
    writeFile(join(paths.config, 'containerd.toml'), containerdConfig(paths)),
    writeFile(join(configurations, '10-bridge.conflist'), JSON.stringify(cniConfig, null, 2)),
    writeFile(join(paths.config, 'resolv.conf'), `nameserver ${outsideAddress.ipv4}\n`),
    writeFile(join(paths.config, 'kubelet.yaml'), stringify(kubeletConfig(paths))),
    writeFile(join(paths.config, 'kube-proxy.yaml'), stringify(kubeProxyConfig(paths))),
  ]);
}

// restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE refuses the score of a sandbox, and runc then fails obscurely.
function containerdConfig({ cni }: ClusterPaths): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
address = "${containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${cni.programs}"
conf_dir = "${cni.configurations}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`;
}

const cniConfig = {
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: podBridge,
      isGateway: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: podNetwork.ipv4 }], [{ subnet: podNetwork.ipv6 }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

function kubeletConfig(paths: ClusterPaths): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      x509: { clientCAFile: join(paths.certificates, 'ca.crt') },
      webhook: { enabled: true },
      anonymous: { enabled: false },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(paths.certificates, 'kubelet-server.crt'),
    tlsPrivateKeyFile: join(paths.certificates, 'kubelet-server.key'),
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${paths.cgroup}`,
    failSwapOn: false,
    clusterDomain: 'cluster.local',
    clusterDNS: [dnsServiceAddress],
    resolvConf: join(paths.config, 'resolv.conf'),
    // A test machine with a full disk still runs its tests, and images that were imported by hand must never be collected.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
    imageMaximumGCAge: '0s',
    makeIPTablesUtilChains: false,
    maxPods: 250,
    serializeImagePulls: false,
    // Changes of ConfigMaps and Secrets reach mounted volumes at this pace.
    syncFrequency: '3s',
    nodeStatusUpdateFrequency: '5s',
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    eventRecordQPS: 0,
    registryPullQPS: 0,
  };
}

// conntrack: its limits belong to the host and cannot be written from here; zero leaves them alone.
function kubeProxyConfig(paths: ClusterPaths): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: join(paths.config, 'kube-proxy.kubeconfig'), qps: 100, burst: 200 },
    hostnameOverride: paths.name,
    clusterCIDR: dualStack(clusterNetwork),
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    nftables: { minSyncPeriod: '50ms' },
  };
}
