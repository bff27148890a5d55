// What rotation needs to know of the proxies of a mesh: whether they believe in given roots, and who signed their certificates.
import { readCertificates } from '../../identity/index.ts';
import { namespacedName } from '../../kernel/index.ts';
import { type ConfigSource, isMeshed, type PodFacts, type ProxyRegistry, type Resource } from '../../model/index.ts';
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
  // Proxies that see the same share one resource.
  const covering = new Map<Resource, boolean>();
  const covers = (resource: Resource): boolean => {
    const known = covering.get(resource) ?? (roots.length > 0 && roots.every(root => hasAnchor(resource, mesh, root)));
    covering.set(resource, known);
    return known;
  };
  const proxies: RotatingProxy[] = [];
  for (const pod of ports.pods()) {
    const who = pod.phase === 'Running' && isMeshed(pod) ? ports.config.view(pod.key) : undefined;
    if (who === undefined) continue;
    const isOwn = who.view.mesh === mesh;
    const trust = ports.config.resource(who, TRUST);
    if (!isOwn && !domainsOf(trust).some(domain => domain.mesh === mesh)) continue;
    const state = states.get(pod.key);
    const acked =
      state?.silent === false ? state.resources.find(({ name }) => name === TRUST)?.ackedVersion : undefined;
    proxies.push({
      name: namespacedName(pod.key),
      trustsNewest: trust !== undefined && acked === trust.version && covers(trust),
      leaf: isOwn ? (state?.leaf?.generation ?? '') : undefined,
    });
  }
  return proxies;
}

function domainsOf(resource: Resource | undefined) {
  return resource?.body.kind === 'trust' ? resource.body.trust.domains : [];
}

function hasAnchor(resource: Resource, mesh: string, root: Buffer): boolean {
  return domainsOf(resource).some(domain => domain.mesh === mesh && domain.anchors.some(anchor => root.equals(anchor)));
}
