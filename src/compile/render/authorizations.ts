import type { InboundPolicy } from '../../api/index.ts';
import { dnsIdentity, sortedUnique, spiffeId } from '../../kernel/index.ts';
import type { Authorization, Clients, Network } from '../../model/index.ts';
import type { Grant, GrantClients, Mesh } from '../parse/index.ts';
import type { World } from '../resolve/index.ts';
import { defaultRef, refOf } from './refs.ts';

const EVERYWHERE: readonly Network[] = [
  { cidr: '0.0.0.0/0', except: [] },
  { cidr: '::/0', except: [] },
];

const ANY_IDENTITY: Clients = { kind: 'meshTls', any: true, identities: [], suffixes: [] };

/** What a default policy admits; `deny` and `audit` admit nobody (`audit` is a property of the port, not a grant). */
export function policyAuthorizations(mesh: Mesh, policy: InboundPolicy): readonly Authorization[] {
  if (policy === 'deny' || policy === 'audit') return [];
  const networks = policy.startsWith('cluster-') ? mesh.clusterNetworks : EVERYWHERE;
  const clients: Clients = policy.endsWith('-unauthenticated') ? { kind: 'unauthenticated' } : ANY_IDENTITY;
  return [{ authorization: defaultRef(policy), networks, clients }];
}

/** What one ServerAuthorization means to a pod of this mesh. */
export function grantAuthorization(world: World, mesh: Mesh, grant: Grant): Authorization {
  return {
    authorization: refOf(grant.object.key),
    networks: grant.networks ?? mesh.clusterNetworks,
    clients: clientsOf(grant.clients, mesh, world.options.controlNamespace),
  };
}

function clientsOf(clients: GrantClients, mesh: Mesh, controlNamespace: string): Clients {
  if (clients.kind !== 'meshTls') return clients;
  if (clients.identities.includes('*')) return ANY_IDENTITY;
  const expand = (identity: string): readonly string[] => withAliases(identity, mesh, controlNamespace);
  const exact = clients.identities.filter(identity => !identity.startsWith('*.'));
  const suffixes = clients.identities.filter(identity => identity.startsWith('*.')).map(identity => identity.slice(1));
  const accounts = clients.serviceAccounts.map(account => spiffeId(mesh.trustDomain, account));
  return {
    kind: 'meshTls',
    any: false,
    identities: sortedUnique([...accounts, ...exact.flatMap(expand)]),
    suffixes: sortedUnique(suffixes.flatMap(expand)),
  };
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
