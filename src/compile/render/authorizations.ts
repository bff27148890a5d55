import type { InboundPolicy } from '../../api/index.ts';
import { dnsIdentity, type ServiceAccountName, sortedUnique, spiffeId } from '../../kernel/index.ts';
import type { Authorization, Clients, Network } from '../../model/index.ts';
import type { Grant, GrantClients, Mesh } from '../parse/index.ts';
import { meshesIn, peersOf, type World } from '../resolve/index.ts';
import { defaultRef, refOf } from './refs.ts';

const EVERYWHERE: readonly Network[] = [
  { cidr: '0.0.0.0/0', except: [] },
  { cidr: '::/0', except: [] },
];

const ANY_IDENTITY: Clients = { kind: 'meshTls', any: true, identities: [], suffixes: [] };

/** What a default policy admits; `deny` and `audit` admit nobody (`audit` is a property of the port, not a grant: see {@link audits}). */
export function policyAuthorizations(mesh: Mesh, policy: InboundPolicy): readonly Authorization[] {
  if (policy === 'audit' && mesh.strict)
    return [{ authorization: defaultRef(policy), networks: EVERYWHERE, clients: ANY_IDENTITY }];
  if (policy === 'deny' || policy === 'audit') return [];
  const networks = policy.startsWith('cluster-') ? mesh.clusterNetworks : EVERYWHERE;
  const clients: Clients = policy.endsWith('-unauthenticated') ? { kind: 'unauthenticated' } : ANY_IDENTITY;
  return [{ authorization: defaultRef(policy), networks, clients: isolated(mesh, clients) }];
}

/** Whether a port lets in everybody else as well. A strict mesh does so for callers with an identity alone, by a grant. */
export function audits(mesh: Mesh, policy: InboundPolicy): boolean {
  return policy === 'audit' && !mesh.strict;
}

function isolated(mesh: Mesh, clients: Clients): Clients {
  return mesh.strict && clients.kind !== 'meshTls' ? ANY_IDENTITY : clients;
}

/** What one ServerAuthorization means to a pod of this mesh. */
export function grantAuthorization(world: World, mesh: Mesh, grant: Grant): Authorization {
  return {
    authorization: refOf(grant.object.key),
    networks: grant.networks ?? mesh.clusterNetworks,
    clients: isolated(mesh, clientsOf(world, mesh, grant.clients)),
  };
}

function clientsOf(world: World, mesh: Mesh, clients: GrantClients): Clients {
  if (clients.kind !== 'meshTls') return clients;
  if (clients.identities.includes('*')) return ANY_IDENTITY;
  const expand = (identity: string): readonly string[] => withAliases(identity, mesh, world.options.controlNamespace);
  const exact = clients.identities.filter(identity => !identity.startsWith('*.'));
  const suffixes = clients.identities.filter(identity => identity.startsWith('*.')).map(identity => identity.slice(1));
  const accounts = clients.serviceAccounts.flatMap(account => identitiesOf(world, mesh, account));
  return {
    kind: 'meshTls',
    any: false,
    identities: sortedUnique([...accounts, ...exact.flatMap(expand)]),
    suffixes: sortedUnique(suffixes.flatMap(expand)),
  };
}

/**
 * A service account has an identity in this mesh, and in those that this one trusts as far as its namespace belongs to them: no mesh can speak for
 * the namespaces of another.
 */
function identitiesOf(world: World, mesh: Mesh, account: ServiceAccountName): readonly string[] {
  const peers = peersOf(world, mesh);
  const theirs = peers.length === 0 ? [] : meshesIn(world, account.namespace).split(',');
  return [mesh, ...peers.filter(({ name }) => theirs.includes(name))].map(({ trustDomain }) =>
    spiffeId(trustDomain, account),
  );
}

/** As written, and, where it ends in a name that stands for this mesh, with the mesh's own ending. */
function withAliases(identity: string, mesh: Mesh, controlNamespace: string): readonly string[] {
  const own = dnsIdentity(mesh.trustDomain, controlNamespace, { namespace: '', serviceAccount: '' }).replace(
    /^\.+/,
    '.',
  );
  const alias = mesh.identityAliases.find(ending => identity.endsWith(`.${ending}`));
  return alias === undefined ? [identity] : [identity, identity.slice(0, -alias.length - 1) + own];
}
