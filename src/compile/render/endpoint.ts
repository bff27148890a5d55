import { spiffeId } from '../../kernel/index.ts';
import { type Endpoint, type PodFacts, selectorMatches, type Transport } from '../../model/index.ts';
import type { Mesh } from '../parse/index.ts';
import { inboundPortsOfPod, nodeOf, skipsProxy, trustedMeshOf, type World } from '../resolve/index.ts';
import { labelsOf, ownerLabel } from './refs.ts';

export interface Location {
  readonly address: string;
  readonly port: number;
  /** Undefined: something outside, or on the network of a host. */
  readonly pod: PodFacts | undefined;
  /** Empty: that of the pod's node. */
  readonly zone: string;
}

/** How a proxy of `mesh` reaches one address. */
export function endpointAt(world: World, mesh: Mesh, { address, port, pod, zone }: Location): Endpoint {
  if (pod === undefined)
    return { address, port, podUid: '', identity: '', transport: 'plain', zone, labels: labelsOf({ dst_zone: zone }) };
  const { namespace, name, uid } = pod.meta;
  const trusted = trustedMeshOf(world, mesh, pod);
  const transport = trusted === undefined ? 'plain' : transportTo(world, trusted, pod, port);
  const where = zone === '' ? (nodeOf(world, pod.node)?.zone ?? '') : zone;
  return {
    address,
    port,
    podUid: uid,
    identity:
      trusted === undefined || transport === 'plain'
        ? ''
        : spiffeId(trusted.trustDomain, { namespace, serviceAccount: pod.serviceAccount }),
    transport,
    zone: where,
    labels: labelsOf({
      dst_namespace: namespace,
      dst_pod: name,
      dst_serviceaccount: pod.serviceAccount,
      dst_zone: where,
      ...ownerLabel(pod.owner, 'dst_'),
    }),
  };
}

/**
 * Mesh TLS only to pods with a proxy of the same mesh or of one that it trusts, on a port that the proxy takes mesh connections for; how, is for
 * the mesh of that pod to say. A NetworkPolicy speaks of the application's port and would refuse the proxy's, so pods under one are reached by
 * redirect.
 */
function transportTo(world: World, mesh: Mesh, pod: PodFacts, port: number): Transport {
  if (pod.hostNetwork || skipsProxy(world, mesh, pod, port) || !inboundPortsOfPod(world, pod).includes(port))
    return 'plain';
  if (mesh.transport !== 'Auto') return mesh.transport === 'Direct' ? 'direct' : 'redirect';
  const policies = world.networkPolicies.get(pod.meta.namespace) ?? [];
  return policies.some(policy => selectorMatches(policy.podSelector, pod.meta.labels)) ? 'redirect' : 'direct';
}
