/**
 * Every reason that a Problem or a condition can carry, with its meaning. A reason is part of the API: people alert on it.
 */
export const REASONS = {
  // Conditions that hold.
  Accepted: 'The object is valid and in effect.',
  ResolvedRefs: 'Everything that the object refers to exists and fits.',
  Programmed: 'Every ready proxy that needs the object has acknowledged it.',
  NoProxyNeedsIt: 'No proxy holds anything that is derived from the object.',
  Ready: 'Accepted, ResolvedRefs and Programmed hold.',

  // The object itself is wrong.
  Invalid:
    'A field has a value that the API does not allow. A grant grants nothing, a Server denies its port, a route is as if absent.',
  InvalidNetwork:
    'An address range cannot be read, or an exception does not lie within its range, or leaves nothing of it.',
  AuthorizesNobody:
    'The client block names neither unauthenticated clients nor mesh TLS clients, so it would never admit anybody.',
  ContradictoryClients: 'The client block asks for two kinds of authentication that exclude each other.',
  InvalidRegex: 'A regular expression is not RE2.',
  InvalidWeight: 'A weight is neither a whole number nor a quantity, or negative, or beyond 1000000.',
  DuplicateBackend: 'Two backends name the same Service; write it once, with the sum of the weights.',
  CrossNamespace: 'A name points into another namespace, where this kind may not reach.',
  UnsupportedReference: 'A reference is of a kind that has no meaning here.',
  UnsupportedSelector: 'The selector selects workloads outside the cluster, which are not supported.',

  // The object is well formed, but does not do (all of) what it says.
  Conflicted: 'An older object of the same kind rules the same target.',
  HeadlessRoot: 'The root Service is headless: clients connect to its pods directly, so nothing can be split.',
  UnsupportedServiceType: 'A Service of type ExternalName has no endpoints in the mesh.',
  RootNotFound: 'The root Service does not exist (yet).',
  TargetNotFound: 'The Service that the object names does not exist (yet).',
  BackendNotFound: 'A backend Service does not exist (yet); its share goes to the others.',
  PortMismatch: 'A backend Service lacks a port of the root; on that port its share goes to the others.',
  RouteGroupNotFound: 'An HTTPRouteGroup does not exist (yet), or is invalid; nothing is split.',
  NoEffectiveBackends: 'No backend has a weight above 0; the root serves its own endpoints.',
  SelfReference: 'The root is a backend of itself; its share goes to its own endpoints and is not split again.',
  NestedSplit: 'A backend is the root of another split; its share goes to its own endpoints and is not split again.',
  ServerNotFound: 'The Server that the authorization names does not exist (yet).',
  ClusterNetworksAssumed: 'An empty list of networks means the cluster networks of the mesh, not everywhere.',
  NoKeyInBytes:
    'Requests are told apart by a header or a cookie, and a port of the Service carries bytes that have neither.',
  MeshNotFound: 'The MeshConfig that is named does not exist.',
  TrustNotMutual: 'A mesh in `trusts` does not list this one; neither trusts the other until both do.',
  TrustDomainTaken:
    'An older mesh has the same trust domain: identities of both read the same, and this one can be in no trust between meshes.',
  SharedRoot: 'Another mesh has the same root, so its issuer could sign identities of this one.',
  Isolated: 'The mesh lets in callers with an identity alone, so a grant to unauthenticated callers admits no others.',
  InvalidSetting: 'An annotation has a value that cannot be read; the safe choice is in force instead.',
  DoneAnotherWay: 'An annotation of Linkerd asks for something that is done in another way here; the message says how.',

  // Conditions that do not hold (yet).
  NotAccepted: 'The object is not accepted, so this was not looked at.',
  TooLarge:
    'What is derived from the object is more than a proxy takes in one message, so it was not sent and what was in force before stays.',
  Pending: 'Proxies have not acknowledged the newest generation yet.',
} as const;

export type Reason = keyof typeof REASONS;
