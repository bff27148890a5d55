import type { MeshStatus, NamespaceStatus, StatusAnswer } from '../contract/index.ts';
import { DEFAULT_MESH, MESH_LABEL, nameOf, type ObjectKey } from '../kernel/index.ts';
import { isMeshed, isRunning, unmeshedPods } from '../model/index.ts';
import type { OperatorApiPorts } from './ports.ts';
import { countProxies, summarise } from './proxies.ts';

type StatusPorts = Pick<
  OperatorApiPorts,
  'replica' | 'config' | 'registry' | 'issuers' | 'snapshot' | 'findings' | 'controlNamespace'
>;

/** Pods named in one answer; there may be more. */
const UNMESHED_NAMED = 100;

/** `namespace` empty: all that have a pod with a proxy, and every mesh. */
export function statusAnswer(ports: StatusPorts, namespace: string): StatusAnswer {
  const proxies = ports.registry.proxies().map(proxy => summarise(proxy, ports.replica));
  const inScope = (key: ObjectKey) => namespace === '' || nameOf(key).namespace === namespace;
  return {
    replica: ports.replica,
    generation: ports.config.generation,
    meshes: meshNames(ports).map(name => meshStatus(ports, name, proxies)),
    namespaces: namespaceStatuses(ports, proxies).filter(status => namespace === '' || status.namespace === namespace),
    unmeshed: unmeshedOf(ports, inScope),
    missing: ports.registry.missing(),
    problems: ports.findings().problems.filter(problem => inScope(problem.object)),
  };
}

function unmeshedOf(
  { snapshot, controlNamespace }: StatusPorts,
  inScope: (key: ObjectKey) => boolean,
): StatusAnswer['unmeshed'] {
  const found = unmeshedPods(snapshot(), controlNamespace).filter(({ key }) => inScope(key));
  const named = found.slice(0, UNMESHED_NAMED).map(({ meta }) => ({ namespace: meta.namespace, pod: meta.name }));
  return { total: found.length, pods: named };
}

function meshNames({ snapshot }: StatusPorts): string[] {
  return [...snapshot().meshConfigs.values()].map(({ meta }) => meta.name).toSorted();
}

function meshStatus(ports: StatusPorts, name: string, proxies: readonly ReturnType<typeof summarise>[]): MeshStatus {
  const issuer = ports.issuers.active(name);
  return {
    name,
    trustDomain: issuer?.trustDomain ?? ports.issuers.trust().get(name)?.trustDomain ?? '',
    issuer:
      issuer === undefined
        ? null
        : { generation: issuer.generation, notAfter: new Date(issuer.notAfterMs).toISOString() },
    proxies: countProxies(proxies.filter(proxy => proxy.mesh === name)),
  };
}

function namespaceStatuses(ports: StatusPorts, proxies: readonly ReturnType<typeof summarise>[]): NamespaceStatus[] {
  const { pods, namespaces } = ports.snapshot();
  const byNamespace = Map.groupBy([...pods.values()].filter(isRunning), pod => pod.meta.namespace);
  const meshOf = new Map(
    [...namespaces.values()].map(({ meta }) => [meta.name, meta.labels[MESH_LABEL] ?? DEFAULT_MESH]),
  );
  return [...byNamespace]
    .map(([namespace, members]) => ({
      namespace,
      mesh: meshOf.get(namespace) ?? DEFAULT_MESH,
      pods: { total: members.length, meshed: members.filter(isMeshed).length },
      proxies: countProxies(proxies.filter(proxy => proxy.namespace === namespace)),
    }))
    .filter(({ pods, proxies }) => pods.meshed > 0 || proxies.connected > 0)
    .toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1));
}
