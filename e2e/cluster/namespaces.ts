import { spawn } from 'node:child_process';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { clusterNetwork, nodeAddress, outsideAddress, podBridge, podNetwork } from './addresses.ts';
import type { ClusterPaths } from './paths.ts';
import { clusterVariable, type ProcessRef, processRef, signalProcess, started } from './process.ts';

// Host folders that kubelet, containerd and the CNI plugins know by fixed paths. Each cluster mounts its own over them:
// without that, one kubelet cleans up what another one runs. Network namespaces and sockets are below /run.
const privateFolders = [
  '/var/lib/kubelet',
  '/var/lib/containerd',
  '/var/lib/cni',
  '/var/log/pods',
  '/var/log/containers',
];

/** The processes that keep a cluster's namespaces alive: network and mounts of the node, network of the outside. */
export interface NamespaceHolders {
  node: ProcessRef;
  outside: ProcessRef;
}

/** Creates the namespaces with their links, addresses and mounts; nothing of the host's own is changed. */
export async function createNamespaces(
  paths: ClusterPaths,
  onHolder: (name: keyof NamespaceHolders, ref: ProcessRef) => Promise<void>,
): Promise<NamespaceHolders> {
  const outside = await hold(paths, ['--net'], 'true');
  await onHolder('outside', outside);
  for (const folder of privateFolders) await mkdir(join(paths.data, folder), { recursive: true });
  const script = [...mountCommands(paths), ...networkCommands(outside.pid)].join('\n');
  // Shared inside, for kubelet wants mounts of volumes to reach the containers; private towards the host.
  const node = await hold(paths, ['--net', '--mount', '--propagation', 'private'], script);
  await onHolder('node', node);
  return { node, outside };
}

async function hold(paths: ClusterPaths, namespaces: readonly string[], setup: string): Promise<ProcessRef> {
  const child = spawn(
    'unshare',
    [...namespaces, '--', 'sh', '-c', `set -e\n${setup}\necho ready\nexec sleep infinity`],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], [clusterVariable]: paths.folder },
      cwd: '/',
    },
  );
  await started(child, 'unshare');
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  try {
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', () => resolve());
      child.once('close', () => reject(new Error(`the namespaces cannot be set up: ${complaints.trim()}`)));
    });
  } catch (error) {
    if (child.pid !== undefined) signalProcess(child.pid, 'SIGKILL');
    throw error;
  }
  if (complaints !== '') await appendFile(join(paths.log, 'namespaces.log'), complaints);
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  return processRef(child.pid);
}

function mountCommands(paths: ClusterPaths): string[] {
  return [
    'mount --make-rshared /',
    'mount -t tmpfs -o mode=755 tmpfs /run',
    'mkdir -p /run/netns /run/lock',
    ...privateFolders.flatMap(folder => [`mkdir -p ${folder}`, `mount --bind '${join(paths.data, folder)}' ${folder}`]),
  ];
}

// Without duplicate address detection an IPv6 address is usable at once. bridge-nf-call: the answer to a pod that called a
// ClusterIP served on the same bridge must pass the NAT again, or it arrives from an address the caller never asked.
function networkCommands(outsidePid: number): string[] {
  const outside = `nsenter --target ${outsidePid} --net --`;
  const settings = {
    'net/ipv4/ip_forward': 1,
    'net/ipv4/conf/all/route_localnet': 1,
    'net/ipv6/conf/all/disable_ipv6': 0,
    'net/ipv6/conf/all/forwarding': 1,
    'net/ipv6/conf/all/accept_dad': 0,
    'net/ipv6/conf/default/accept_dad': 0,
    'net/bridge/bridge-nf-call-iptables': 1,
    'net/bridge/bridge-nf-call-ip6tables': 1,
  };
  return [
    ...Object.entries(settings).map(([name, value]) => `echo ${value} > /proc/sys/${name}`),
    'ip link set lo up',
    `ip link add node0 type veth peer name outside0 netns ${outsidePid}`,
    'ip link set node0 up',
    `${outside} ip link set lo up`,
    `${outside} ip link set outside0 up`,
    `ip address add ${nodeAddress.ipv4}/24 dev node0`,
    `ip address add ${nodeAddress.ipv6}/64 dev node0 nodad`,
    `${outside} ip address add ${outsideAddress.ipv4}/24 dev outside0`,
    `${outside} ip address add ${outsideAddress.ipv6}/64 dev outside0 nodad`,
    `ip route add default via ${outsideAddress.ipv4}`,
    `ip -6 route add default via ${outsideAddress.ipv6}`,
    // Pods are seen outside by their own addresses.
    `${outside} ip route add ${clusterNetwork.ipv4} via ${nodeAddress.ipv4}`,
    `${outside} ip -6 route add ${clusterNetwork.ipv6} via ${nodeAddress.ipv6}`,
    `ip link add ${podBridge} type bridge forward_delay 0`,
    `ip link set ${podBridge} up`,
    `ip address add ${firstAddress(podNetwork.ipv4)} dev ${podBridge}`,
    `ip address add ${firstAddress(podNetwork.ipv6)} dev ${podBridge} nodad`,
  ];
}

/** The bridge's own address in a network, with its length: `10.244.0.0/24` gives `10.244.0.1/24`. */
export function firstAddress(network: string): string {
  return network.replace(/(\.0|::)\//, match => (match === '.0/' ? '.1/' : '::1/'));
}
