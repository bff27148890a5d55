import { X509Certificate } from 'node:crypto';
import type { CertsAnswer, MeshCerts, RootCert } from '../contract/index.ts';
import { nameOf } from '../kernel/index.ts';
import type { ProxyState } from '../model/index.ts';
import type { OperatorApiPorts } from './ports.ts';

type CertsPorts = Pick<OperatorApiPorts, 'replica' | 'registry' | 'issuers' | 'snapshot'>;

/** Leaves are backdated by as much, so a proxy whose clock is further behind refuses its own certificate. */
const MAX_SKEW_MS = 300_000;
const NAMED = 20;

export function certsAnswer(ports: CertsPorts): CertsAnswer {
  const meshes = [...ports.snapshot().meshConfigs.values()].map(({ meta }) => meta.name).toSorted();
  const byMesh = Map.groupBy(ports.registry.proxies(), ({ who }) => who.view.mesh);
  return { replica: ports.replica, meshes: meshes.map(mesh => meshCerts(ports, mesh, byMesh.get(mesh) ?? [])) };
}

function meshCerts({ issuers }: CertsPorts, mesh: string, proxies: readonly ProxyState[]): MeshCerts {
  const active = issuers.active(mesh);
  const ends = proxies.flatMap(({ leaf }) => (leaf === undefined ? [] : [leaf.notAfterMs]));
  const leaves = Map.groupBy(proxies, ({ leaf }) => leaf?.generation ?? '');
  return {
    mesh,
    issuer:
      active === undefined
        ? null
        : { generation: active.generation, notAfter: new Date(active.notAfterMs).toISOString() },
    roots: (issuers.trust().get(mesh)?.anchorsDer ?? []).map(rootCert),
    leaves: [...leaves]
      .map(([generation, having]) => ({ generation, proxies: having.length }))
      .toSorted((left, right) => (left.generation < right.generation ? -1 : 1)),
    firstLeafEnds: ends.length === 0 ? '' : new Date(Math.min(...ends)).toISOString(),
    skewed: skewed(proxies).slice(0, NAMED),
  };
}

export function skewed(proxies: readonly ProxyState[]): MeshCerts['skewed'] {
  return proxies.flatMap(({ who, leaf }) => {
    if (leaf === undefined || Math.abs(leaf.skewMs) <= MAX_SKEW_MS) return [];
    const { namespace, name } = nameOf(who.podKey);
    return [{ namespace, pod: name, skewMs: leaf.skewMs }];
  });
}

function rootCert(der: Uint8Array): RootCert {
  const { subject, validTo, fingerprint256 } = new X509Certificate(der);
  return {
    subject: subject?.replaceAll('\n', ', ') ?? '',
    notAfter: new Date(validTo).toISOString(),
    fingerprint: fingerprint256,
  };
}
