import { canonicalIp, compareText, sortedUnique } from '../../kernel/index.ts';
import type { PodFacts, PodOwner, ProbeFacts } from '../snapshot.ts';
import type { Identified } from './meta.ts';
import { isTcp, type Json, record, records, text, textMap, whole, word } from './read.ts';

const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;
/** The containers that injection adds; their ports and probes are not the application's. */
const OWN_CONTAINERS = new Set(['weft-init', 'weft-validate', 'weft-proxy']);

export function decodePod({ key, meta }: Identified, raw: unknown): PodFacts {
  const metadata = record(record(raw)['metadata']);
  const spec = record(record(raw)['spec']);
  const status = record(record(raw)['status']);
  const containers = [...records(spec['initContainers']), ...records(spec['containers'])].filter(
    container => !OWN_CONTAINERS.has(text(container['name'])),
  );
  const addresses = [...records(status['podIPs']).map(entry => text(entry['ip'])), text(status['podIP'])];
  return {
    key,
    meta,
    ips: sortedUnique(addresses.map(canonicalIp).filter(ip => ip !== undefined)),
    node: text(spec['nodeName']),
    serviceAccount: text(spec['serviceAccountName']) || 'default',
    hostNetwork: spec['hostNetwork'] === true,
    phase: word(status['phase'], PHASES, 'Unknown'),
    ready: records(status['conditions']).some(
      condition => condition['type'] === 'Ready' && condition['status'] === 'True',
    ),
    ports: containers
      .flatMap(portsOf)
      .toSorted((left, right) => left.port - right.port || compareText(left.name, right.name)),
    probes: containers.flatMap(probesOf),
    applicationEnded: applicationEnded(spec, status),
    owner: ownerOf(metadata, meta.labels),
  };
}

/** Only where an ordinary container is the proxy: the kubelet itself ends a native sidecar. */
function applicationEnded(spec: Json, status: Json): boolean {
  const policy = text(spec['restartPolicy']);
  if (policy !== 'Never' && policy !== 'OnFailure') return false;
  const names = records(spec['containers']).map(container => text(container['name']));
  if (!names.includes('weft-proxy')) return false;
  const statuses = records(status['containerStatuses']);
  return names
    .filter(name => name !== 'weft-proxy')
    .every(name => {
      const { terminated } = record(statuses.find(candidate => candidate['name'] === name)?.['state']);
      return terminated !== undefined && (policy === 'Never' || record(terminated)['exitCode'] === 0);
    });
}

function portsOf(container: Json): readonly { name: string; port: number }[] {
  return records(container['ports'])
    .filter(isTcp)
    .map(port => ({ name: text(port['name']), port: whole(port['containerPort']) }))
    .filter(({ port }) => port > 0);
}

/** gRPC's health checking protocol, which a probe of kind `grpc` speaks over plain HTTP/2. */
const GRPC_HEALTH_CHECK = '/grpc.health.v1.Health/Check';

/** Only what comes over plain HTTP: of anything else the proxy cannot see the path. */
function probesOf(container: Json): readonly ProbeFacts[] {
  return ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap(field => {
    const { httpGet, grpc } = record(container[field]);
    return httpGet === undefined ? grpcProbe(grpc) : httpProbe(record(httpGet), container);
  });
}

function httpProbe(get: Json, container: Json): readonly ProbeFacts[] {
  if (text(get['scheme']).toUpperCase() === 'HTTPS') return [];
  const port = typeof get['port'] === 'string' ? portNumberOrName(get['port'], container) : whole(get['port']);
  const path = text(get['path']).replace(/[?#].*$/s, '');
  return [{ port, method: 'GET', path: path.startsWith('/') ? path : `/${path}` }];
}

function grpcProbe(grpc: unknown): readonly ProbeFacts[] {
  const port = whole(record(grpc)['port']);
  return port === 0 ? [] : [{ port, method: 'POST', path: GRPC_HEALTH_CHECK }];
}

/** The kubelet resolves a name within the probe's own container, and reads a numeric text as a number. */
function portNumberOrName(name: string, container: Json): number | string {
  if (/^[0-9]+$/.test(name)) return Number(name);
  return portsOf(container).find(port => port.name === name)?.port ?? name;
}

/** A ReplicaSet that carries the pod's template hash as its last name element was made by a Deployment. */
function ownerOf(metadata: Json, labels: Readonly<Record<string, string>>): PodOwner | undefined {
  const owner = records(metadata['ownerReferences']).find(reference => reference['controller'] === true);
  if (owner === undefined) return undefined;
  const [kind, name] = [text(owner['kind']), text(owner['name'])];
  const suffix = `-${textMap(labels)['pod-template-hash'] ?? ''}`;
  if (kind === 'ReplicaSet' && suffix !== '-' && name.endsWith(suffix))
    return { kind: 'Deployment', name: name.slice(0, -suffix.length) };
  return { kind, name };
}
