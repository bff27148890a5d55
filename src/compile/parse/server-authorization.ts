import { type ServerAuthorizationSpec, serverAuthorization } from '../../api/index.ts';
import type { ServiceAccountName } from '../../kernel/index.ts';
import type { CustomObject, LabelSelector, Network } from '../../model/index.ts';
import { parseNetworks } from './networks.ts';
import { memoised, type Parsed, Report } from './report.ts';

/** What a ServerAuthorization grants, before the mesh has a say in it. */
export interface Grant {
  readonly object: CustomObject;
  readonly server: { readonly name: string } | { readonly selector: LabelSelector };
  /** Undefined: the cluster networks of the mesh. */
  readonly networks: readonly Network[] | undefined;
  readonly clients: GrantClients;
}

export type GrantClients =
  | { readonly kind: 'unauthenticated' }
  | { readonly kind: 'unauthenticatedTls' }
  | {
      readonly kind: 'meshTls';
      /** As written: `*`, `*.suffix`, DNS form or spiffe:// URI. */
      readonly identities: readonly string[];
      readonly serviceAccounts: readonly ServiceAccountName[];
    };

type Client = ServerAuthorizationSpec['client'];

export const parseServerAuthorization: (object: CustomObject) => Parsed<Grant> = memoised(object => {
  const report = new Report(object);
  const spec = report.spec(serverAuthorization);
  if (spec === undefined) return report.parsed<Grant>(undefined);
  const clients = parseClients(report, spec.client);
  const networks = parseNetworks(report, 'spec.client.networks', spec.client.networks ?? []);
  if (spec.client.networks?.length === 0) {
    report.warning(
      'spec.client.networks',
      'ClusterNetworksAssumed',
      'spec.client.networks is empty, which means the cluster networks of the mesh; write 0.0.0.0/0 and ::/0 for everywhere.',
    );
  }
  const target = spec.server.name === undefined ? { selector: spec.server.selector ?? {} } : { name: spec.server.name };
  if (report.failed || clients === undefined) return report.parsed<Grant>(undefined);
  return report.parsed({
    object,
    server: target,
    networks: networks.length === 0 ? undefined : networks,
    clients,
  });
});

function parseClients(report: Report, client: Client): GrantClients | undefined {
  const { unauthenticated = false, meshTLS } = client;
  const path = 'spec.client';
  if (unauthenticated) {
    if (meshTLS === undefined) return { kind: 'unauthenticated' };
    report.error(
      `${path}.meshTLS`,
      'ContradictoryClients',
      `${path} has both unauthenticated and meshTLS; unauthenticated lets mesh clients in as well, so remove one.`,
    );
    return undefined;
  }
  const identities = meshTLS?.identities ?? [];
  const serviceAccounts = meshTLS?.serviceAccounts ?? [];
  const named = identities.length + serviceAccounts.length > 0;
  if (meshTLS?.unauthenticatedTLS === true) {
    if (!named) return { kind: 'unauthenticatedTls' };
    report.error(
      `${path}.meshTLS`,
      'ContradictoryClients',
      `${path}.meshTLS has unauthenticatedTLS beside identities or serviceAccounts; it lets clients without an identity in, so remove one.`,
    );
    return undefined;
  }
  if (!named) {
    report.error(
      path,
      'AuthorizesNobody',
      `${path} admits nobody; set unauthenticated, or meshTLS with identities, serviceAccounts or unauthenticatedTLS.`,
    );
    return undefined;
  }
  const own = report.object.meta.namespace;
  return {
    kind: 'meshTls',
    identities,
    serviceAccounts: serviceAccounts.map(account => ({
      namespace: account.namespace ?? own,
      serviceAccount: account.name,
    })),
  };
}
