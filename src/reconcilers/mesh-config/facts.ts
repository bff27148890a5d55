// What this reconciler keeps of the objects that it watches.
import { err, type ObjectKey, objectKey, ok, type Problem, type Result } from '../../kernel/index.ts';
import { CERTIFICATES, identityOf, isRecord, type ResourceType, SECRETS } from '../../kube/index.ts';
import { type CustomObject, DECODERS } from '../../model/index.ts';

export const ISSUERS: ResourceType = {
  group: 'cert-manager.io',
  version: 'v1',
  plural: 'issuers',
  kind: 'Issuer',
  namespaced: true,
};
export const MESH_CONFIGS: ResourceType = {
  group: 'weft.dev',
  version: 'v1alpha1',
  plural: 'meshconfigs',
  kind: 'MeshConfig',
  namespaced: false,
};

/** Label of every Secret of an issuer, with the mesh as its value; the informer asks for nothing else. */
export const ISSUER_LABEL = 'weft.dev/issuer';
/**
 * `anchor`: the root that cert-manager makes for us, rewritten in place; its key is never read. `source`: the issuer that cert-manager writes, in
 * place. `generation`: an immutable copy that may sign. `root`: the key of a self-managed root.
 */
export const ISSUER_ROLE_LABEL = 'weft.dev/issuer-role';
/** On a generation that no longer signs: since when, RFC 3339. Its root is trusted until no leaf of it can be alive. */
export const REPLACED_AT = 'weft.dev/replaced-at';

/** On what was made because somebody asked for a renewal: a hash of what was asked (annotations RENEW_ISSUER, RENEW_ANCHOR of the MeshConfig). */
export const RENEWAL_LABEL = 'weft.dev/renewal';
/** On a MeshConfig: any text; another text is another renewal. */
export const RENEW_ISSUER = 'weft.dev/renew-issuer';
export const RENEW_ANCHOR = 'weft.dev/renew-anchor';
/** On a MeshConfig: name of a generation that may sign although some proxies are silent. */
export const ROTATION_GO_ON = 'weft.dev/rotation-go-on';
/** On a MeshConfig: name of a generation that must not sign; what signed before does again. */
export const ROTATION_ABORT = 'weft.dev/rotation-abort';

export type IssuerRole = 'anchor' | 'source' | 'generation' | 'root';
const ROLES: readonly IssuerRole[] = ['anchor', 'source', 'generation', 'root'];

/** The private key is in memory only; it is never logged and never part of a message. */
export interface IssuerSecretFacts {
  readonly key: ObjectKey;
  readonly name: string;
  readonly uid: string;
  readonly mesh: string;
  readonly role: IssuerRole;
  readonly createdMs: number;
  readonly replacedAtMs: number | undefined;
  /** Empty: made for no request. */
  readonly renewal: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly caPem: string;
}

export interface CertificateFacts {
  readonly key: ObjectKey;
  /** As far as we write it, to tell whether it is as desired. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** Message of its condition Ready while that is not True; empty otherwise. */
  readonly trouble: string;
}

export type IssuerFacts = Pick<CertificateFacts, 'key' | 'raw'>;

/** A MeshConfig with the part of its status that is an input: which generation signs. */
export interface MeshConfigFacts extends CustomObject {
  readonly identity: IdentityStatus;
}

export interface IdentityStatus {
  readonly activeIssuer: string;
  readonly nextIssuer: string;
  /** RFC 3339; empty when unknown. */
  readonly notAfter: string;
  /** Empty before the first. */
  readonly phase: string;
  /** `namespace/pod` of proxies that the phase waits for; the first few. */
  readonly waitingFor: readonly string[];
  readonly waiting: number;
}

const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function malformed(type: ResourceType, message: string): Result<never, Problem> {
  const object = objectKey({ group: type.group, kind: type.kind, namespace: '', name: '' });
  return err({ object, path: 'metadata', reason: 'Invalid', message, severity: 'error' });
}

function timeMs(value: unknown): number | undefined {
  const ms = Date.parse(text(value));
  return Number.isNaN(ms) ? undefined : ms;
}

export function decodeIssuerSecret(raw: unknown): Result<IssuerSecretFacts, Problem> {
  const identity = identityOf(SECRETS, raw);
  const { metadata, data } = record(raw);
  const { name, uid, labels, annotations, creationTimestamp } = record(metadata);
  const role = record(labels)[ISSUER_ROLE_LABEL];
  if (identity === undefined) return malformed(SECRETS, 'A Secret has no name.');
  const decoded = (field: string): string => Buffer.from(text(record(data)[field]), 'base64').toString('utf8');
  return ok({
    key: identity.key,
    name: text(name),
    uid: text(uid),
    mesh: text(record(labels)[ISSUER_LABEL]),
    role: ROLES.find(known => known === role) ?? 'source',
    createdMs: timeMs(creationTimestamp) ?? 0,
    replacedAtMs: timeMs(record(annotations)[REPLACED_AT]),
    renewal: text(record(labels)[RENEWAL_LABEL]),
    certificatePem: decoded('tls.crt'),
    privateKeyPem: role === 'anchor' ? '' : decoded('tls.key'),
    caPem: decoded('ca.crt'),
  });
}

export function decodeCertificate(raw: unknown): Result<CertificateFacts, Problem> {
  const identity = identityOf(CERTIFICATES, raw);
  if (identity === undefined) return malformed(CERTIFICATES, 'A Certificate has no name.');
  const object = record(raw);
  const conditions = record(object['status'])['conditions'];
  const ready = (Array.isArray(conditions) ? conditions : []).map(record).find(({ type }) => type === 'Ready');
  return ok({
    key: identity.key,
    raw: { apiVersion: object['apiVersion'], kind: object['kind'], metadata: object['metadata'], spec: object['spec'] },
    trouble: ready === undefined || ready['status'] === 'True' ? '' : text(ready['message']),
  });
}

export function decodeIssuer(raw: unknown): Result<IssuerFacts, Problem> {
  const identity = identityOf(ISSUERS, raw);
  if (identity === undefined) return malformed(ISSUERS, 'An Issuer has no name.');
  const { apiVersion, kind, metadata, spec } = record(raw);
  return ok({ key: identity.key, raw: { apiVersion, kind, metadata, spec } });
}

export function decodeMeshConfig(raw: unknown): Result<MeshConfigFacts, Problem> {
  const decoded = DECODERS.meshConfigs(raw);
  if (!decoded.ok) return decoded;
  const { activeIssuer, nextIssuer, notAfter, phase, waitingFor, waiting } = record(
    record(record(raw)['status'])['identity'],
  );
  const identity = {
    activeIssuer: text(activeIssuer),
    nextIssuer: text(nextIssuer),
    notAfter: text(notAfter),
    phase: text(phase),
    waitingFor: Array.isArray(waitingFor) ? waitingFor.map(text) : [],
    waiting: typeof waiting === 'number' ? waiting : 0,
  };
  return ok({ ...decoded.value, identity });
}
