// Addresses of a node. Every cluster has them all to itself: nothing leads out of its namespaces.

/** The node as its own API server, kubelet and pods see it. */
export const nodeAddress = { ipv4: '192.168.77.2', ipv6: 'fd00:77::2' } as const;
/** The far end of the node's only link: a network namespace that stands for everything outside the cluster. */
export const outsideAddress = { ipv4: '192.168.77.1', ipv6: 'fd00:77::1' } as const;
export const outsideHostName = 'outside.test';

export const podNetwork = { ipv4: '10.244.0.0/24', ipv6: 'fd00:244::/64' } as const;
/** What the controller-manager cuts the node's share from. */
export const clusterNetwork = { ipv4: '10.244.0.0/16', ipv6: 'fd00:244::/56' } as const;
export const serviceNetwork = { ipv4: '10.96.0.0/16', ipv6: 'fd00:96::/112' } as const;
export const apiServiceAddress = { ipv4: '10.96.0.1', ipv6: 'fd00:96::1' } as const;
export const dnsServiceAddress = '10.96.0.10';

export const apiServerPort = 6443;
/** Bridge of all pods; a capture on it sees every byte between pods. */
export const podBridge = 'cni0';

/** Both families of a setting, as Kubernetes wants them. */
export function dualStack(pair: { ipv4: string; ipv6: string }): string {
  return `${pair.ipv4},${pair.ipv6}`;
}
