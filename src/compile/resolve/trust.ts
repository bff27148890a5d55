import { compareText, type Problem } from '../../kernel/index.ts';
import type { CustomObject } from '../../model/index.ts';
import type { CompileOptions } from '../options.ts';
import { byPrecedence } from '../order.ts';
import { type Mesh, parseMeshConfig } from '../parse/index.ts';
import { problem, type Verdict } from './verdict.ts';

type Meshes = ReadonlyMap<string, Mesh>;

/** By mesh, those that list it and that it lists. Whatever is wrong with a mesh keeps it out; nothing ever widens what is trusted. */
export function mutualTrust(meshes: Meshes): ReadonlyMap<string, readonly Mesh[]> {
  // Where no mesh lists another there is nothing to look for, and that is the common case.
  if (![...meshes.values()].some(({ trusts }) => trusts.length > 0)) return new Map();
  return new Map([...meshes.values()].map(mesh => [mesh.name, peersIn(meshes, mesh)]));
}

function peersIn(meshes: Meshes, mesh: Mesh): readonly Mesh[] {
  if (ownerOfDomain(meshes, mesh) !== mesh) return [];
  return [...new Set(mesh.trusts)]
    .map(name => meshes.get(name))
    .filter(peer => peer !== undefined)
    .filter(peer => peer !== mesh && faultOf(meshes, mesh, peer) === undefined)
    .toSorted((left, right) => compareText(left.name, right.name));
}

export function meshVerdict(meshes: Meshes, trust: CompileOptions['trust'], object: CustomObject): Verdict {
  const { value: mesh, problems } = parseMeshConfig(object);
  const verdict = {
    object,
    rejected: problems.filter(({ severity }) => severity === 'error'),
    unresolved: [],
    notes: problems.filter(({ severity }) => severity === 'warning'),
    readable: mesh !== undefined,
  };
  if (mesh === undefined) return verdict;
  const owner = ownerOfDomain(meshes, mesh);
  const message = `spec.trustDomain ${mesh.trustDomain} is that of MeshConfig ${owner.name}, which is older: identities of both read the same, and no mesh can trust this one. Choose another one.`;
  const taken = owner === mesh ? [] : [problem(object, 'TrustDomainTaken', { path: 'spec.trustDomain', message })];
  return {
    ...verdict,
    unresolved: mesh.trusts.flatMap((name, index) => {
      const path = `spec.trusts[${index}]`;
      const peer = meshes.get(name);
      if (peer === mesh) return [];
      if (peer === undefined) {
        const missing = `${path}: there is no MeshConfig ${name}, so nothing of it is trusted; create it, or remove the name.`;
        return [problem(object, 'MeshNotFound', { path, message: missing })];
      }
      const fault = faultOf(meshes, mesh, peer);
      return fault === undefined
        ? []
        : [problem(object, fault.reason, { path, message: `${path}: ${fault.why}, so neither trusts the other.` })];
    }),
    notes: [...verdict.notes, ...taken, ...sharedRoots(meshes, trust, object)],
  };
}

/** Trust domains are bound to roots: under one root, whoever holds the issuer of one mesh can sign for the other. */
function sharedRoots(meshes: Meshes, trust: CompileOptions['trust'], object: CustomObject): readonly Problem[] {
  if (meshes.size < 2) return [];
  const rootsOf = (mesh: string): readonly string[] =>
    (trust.get(mesh)?.anchorsDer ?? []).map(der => Buffer.from(der).toString('base64'));
  const own = rootsOf(object.meta.name);
  const others = [...meshes.keys()]
    .filter(name => name !== object.meta.name && rootsOf(name).some(root => own.includes(root)))
    .toSorted(compareText);
  if (others.length === 0) return [];
  const path = 'spec.identity';
  const message = `${path}: the root is also that of MeshConfig ${others.join(', ')}, so whoever holds one of their issuers can sign identities of all; give each mesh a root of its own.`;
  return [problem(object, 'SharedRoot', { path, message })];
}

interface Fault {
  readonly reason: 'TrustNotMutual' | 'TrustDomainTaken';
  readonly why: string;
}

/** Why a mesh that is listed is not trusted. */
function faultOf(meshes: Meshes, mesh: Mesh, peer: Mesh): Fault | undefined {
  for (const side of [mesh, peer]) {
    const owner = ownerOfDomain(meshes, side);
    const why = `the trust domain ${side.trustDomain} of MeshConfig ${side.name} is that of MeshConfig ${owner.name}, which is older`;
    if (owner !== side) return { reason: 'TrustDomainTaken', why };
  }
  if (peer.trusts.includes(mesh.name)) return undefined;
  return { reason: 'TrustNotMutual', why: `MeshConfig ${peer.name} does not list ${mesh.name} in its spec.trusts` };
}

/** Of the meshes with the trust domain of this one, the oldest: only that one's roots may speak for it beyond its own proxies. */
function ownerOfDomain(meshes: Meshes, mesh: Mesh): Mesh {
  return [...meshes.values()]
    .filter(({ trustDomain }) => trustDomain === mesh.trustDomain)
    .reduce((first, other) => (byPrecedence(other.object.meta, first.object.meta) < 0 ? other : first), mesh);
}
