// Whether every connected proxy of a mesh has acknowledged trust in given roots. Only then may an issuer below them sign.
import { readCertificates } from '../../identity/index.ts';
import type { ConfigSource, ProxyRegistry } from '../../model/index.ts';

const TRUST = 'trust';

/** Proxies of other replicas are unknown here; the settle time of a rotation covers them. */
export function rootsHeld(
  registry: Pick<ProxyRegistry, 'proxies'>,
  config: Pick<ConfigSource, 'resource'>,
  mesh: string,
  caPem: string,
): boolean {
  const wanted = readCertificates(caPem);
  if (!wanted.ok) return false;
  return registry
    .proxies()
    .filter(({ who }) => who.view.mesh === mesh)
    .every(({ who, resources }) => {
      const resource = config.resource(who, TRUST);
      if (resource === undefined || resource.body.kind !== 'trust') return false;
      const anchors = resource.body.trust.domains
        .filter(domain => domain.mesh === mesh)
        .flatMap(domain => domain.anchors);
      const compiled = wanted.value.every(root => anchors.some(anchor => root.raw.equals(anchor)));
      return (
        compiled && resources.some(({ name, ackedVersion }) => name === TRUST && ackedVersion === resource.version)
      );
    });
}
