// What rotation needs to know of the proxies of a mesh: whether they believe in given roots, and who signed their certificates.
import { readCertificates } from '../../identity/index.ts';
import { nameOf, type ObjectKey, PROXY_LABEL } from '../../kernel/index.ts';
import type { ConfigSource, PodFacts, ProxyRegistry, ProxyState, Who } from '../../model/index.ts';
import type { RotatingProxy } from './rotation.ts';

const TRUST = 'trust';

export interface RotatingProxiesPorts {
  readonly registry: Pick<ProxyRegistry, 'proxies'>;
  readonly config: Pick<ConfigSource, 'resource' | 'view'>;
  readonly pods: () => Iterable<PodFacts>;
}

/**
 * Every pod with a proxy that runs and is to believe in the mesh's roots, heard of or not: one that cannot be reached is the very one that a rotation
 * would leave behind. Proxies of meshes that trust this one are among them. A pod that does not run yet reads the roots when it starts.
 */
export function rotatingProxies(ports: RotatingProxiesPorts, mesh: string, caPem: string): readonly RotatingProxy[] {
  const wanted = readCertificates(caPem);
  const roots = wanted.ok ? wanted.value.map(({ raw }) => raw) : [];
  const states = new Map(ports.registry.proxies().map(state => [state.who.podKey, state]));
  const proxies: RotatingProxy[] = [];
  for (const { key, meta, phase } of ports.pods()) {
    if (phase !== 'Running' || meta.labels[PROXY_LABEL] === undefined) continue;
    const who = ports.config.view(key);
    const isOwn = who?.view.mesh === mesh;
    if (who === undefined || !(isOwn || believes(ports.config, who, mesh))) continue;
    const state = states.get(key);
    proxies.push({
      name: displayName(key),
      trustsNewest: roots.length > 0 && state !== undefined && trusts(ports.config, state, mesh, roots),
      leaf: isOwn ? (state?.leaf?.generation ?? '') : undefined,
    });
  }
  return proxies;
}

/** Whether the pod's proxy is to believe in the roots of `mesh`: its own, or one that trusts its own and is trusted by it. */
function believes(config: Pick<ConfigSource, 'resource'>, who: Who, mesh: string): boolean {
  const body = config.resource(who, TRUST)?.body;
  return body?.kind === 'trust' && body.trust.domains.some(domain => domain.mesh === mesh);
}

function trusts(
  config: Pick<ConfigSource, 'resource'>,
  { who, resources, silent }: ProxyState,
  mesh: string,
  roots: readonly Uint8Array[],
): boolean {
  const resource = silent ? undefined : config.resource(who, TRUST);
  if (resource === undefined || resource.body.kind !== 'trust') return false;
  const anchors = resource.body.trust.domains
    .filter(domain => domain.mesh === mesh)
    .flatMap(domain => domain.anchors)
    .map(anchor => Buffer.from(anchor));
  const compiled = roots.every(root => anchors.some(anchor => anchor.equals(root)));
  return compiled && resources.some(({ name, ackedVersion }) => name === TRUST && ackedVersion === resource.version);
}

function displayName(key: ObjectKey): string {
  const { namespace, name } = nameOf(key);
  return `${namespace}/${name}`;
}
