import { canonicalIp, sortedUnique } from '../../kernel/index.ts';
import type { EndpointSliceFacts, ServiceFacts, SliceEndpointFacts } from '../snapshot.ts';
import type { Identified } from './meta.ts';
import { isTcp, type Json, record, records, text, textMap, texts, whole, word } from './read.ts';

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;

export function decodeService({ key, meta }: Identified, raw: unknown): ServiceFacts {
  const spec = record(record(raw)['spec']);
  const addresses = [text(spec['clusterIP']), ...texts(spec['clusterIPs'])];
  const type = word(spec['type'], TYPES, 'ClusterIP');
  const headless = addresses.includes('None');
  return {
    key,
    meta,
    type,
    clusterIps: type === 'ExternalName' ? [] : [...new Set(addresses.map(canonicalIp).filter(ip => ip !== undefined))],
    externalIps: type === 'ExternalName' || headless ? [] : externalIps(record(raw)),
    headless,
    selector: textMap(spec['selector']),
    ports: records(spec['ports'])
      .filter(isTcp)
      .map(port => ({
        name: text(port['name']),
        port: whole(port['port']),
        targetPort:
          typeof port['targetPort'] === 'string'
            ? port['targetPort']
            : whole(port['targetPort']) || whole(port['port']),
        appProtocol: text(port['appProtocol']),
      })),
    internalTrafficPolicy: word(spec['internalTrafficPolicy'], ['Cluster', 'Local'] as const, 'Cluster'),
    publishNotReadyAddresses: spec['publishNotReadyAddresses'] === true,
    sessionAffinity: spec['sessionAffinity'] === 'ClientIP' ? 'ClientIP' : 'None',
  };
}

/** As kube-proxy takes them: a load balancer of mode `Proxy` wants to see the traffic itself. */
function externalIps(service: Json): readonly string[] {
  const ingress = records(record(record(service['status'])['loadBalancer'])['ingress']);
  const balanced = ingress.filter(entry => entry['ipMode'] !== 'Proxy').map(entry => text(entry['ip']));
  const addresses = [...texts(record(service['spec'])['externalIPs']), ...balanced].map(canonicalIp);
  return sortedUnique(addresses.filter(ip => ip !== undefined));
}

export function decodeEndpointSlice({ key, meta }: Identified, raw: unknown): EndpointSliceFacts {
  const slice = record(raw);
  return {
    key,
    meta,
    service: meta.labels['kubernetes.io/service-name'] ?? '',
    addressType: word(slice['addressType'], ['IPv4', 'IPv6', 'FQDN'] as const, 'FQDN'),
    ports: records(slice['ports'])
      .filter(isTcp)
      .map(port => ({ name: text(port['name']), port: whole(port['port']) }))
      .filter(({ port }) => port > 0),
    endpoints: records(slice['endpoints']).flatMap(endpoint => decodeEndpoint(endpoint)),
  };
}

function decodeEndpoint(endpoint: Json): readonly SliceEndpointFacts[] {
  const address = canonicalIp(texts(endpoint['addresses'])[0] ?? '');
  if (address === undefined) return [];
  const conditions = record(endpoint['conditions']);
  const target = record(endpoint['targetRef']);
  const isPod = target['kind'] === 'Pod';
  const ready = conditions['ready'] !== false;
  return [
    {
      address,
      ready,
      serving: typeof conditions['serving'] === 'boolean' ? conditions['serving'] : ready,
      terminating: conditions['terminating'] === true,
      pod: isPod ? text(target['name']) : '',
      podUid: isPod ? text(target['uid']) : '',
      node: text(endpoint['nodeName']),
      zone: text(endpoint['zone']),
      zoneHints: records(record(endpoint['hints'])['forZones']).map(hint => text(hint['name'])),
    },
  ];
}
