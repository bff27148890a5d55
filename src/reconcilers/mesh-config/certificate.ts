// The objects of cert-manager from which the issuer of a mesh comes: its Certificate and, for a managed anchor, the anchor's Certificate and an Issuer
// that signs with it.
import { formatDurationMs, parseDurationMs, WEFT_GROUP } from '../../kernel/index.ts';
import type { RawObject } from '../../kube/index.ts';
import { ISSUER_LABEL, ISSUER_ROLE_LABEL, type IssuerRole } from './facts.ts';
import type { MeshInput } from './gather.ts';
import { ANCHOR_PREFIX, ISSUER_PREFIX } from './map.ts';

/** Of the intermediate, not of the root; renewed after two thirds. */
const ISSUER_DURATION = '2160h';
const ISSUER_RENEW_BEFORE = '720h';
/** X.509 allows a common name 64 characters, and what follows the mesh's name must fit. */
const MESH_CHARACTERS = 34;

/** The anchor's Certificate and its Issuer; undefined when the anchor is somebody else's. */
export function desiredAnchor(
  input: MeshInput,
): { readonly certificate: RawObject; readonly issuer: RawObject } | undefined {
  const { spec, renewAnchor } = input;
  if (spec.identity.anchor !== 'Managed') return undefined;
  const name = `${ANCHOR_PREFIX}${input.mesh}`;
  const lifeMs = parseDurationMs(spec.identity.anchorDuration) ?? 0;
  return {
    certificate: certificate(input, name, {
      commonName: commonName('anchor', input, [renewAnchor]),
      duration: spec.identity.anchorDuration,
      renewBefore: goDuration(lifeMs / 10),
      issuerRef: spec.identity.issuerRef,
      role: 'anchor',
    }),
    issuer: {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Issuer',
      metadata: metadata(input, name),
      spec: { ca: { secretName: name } },
    },
  };
}

/**
 * Undefined while the anchor that it hangs on is not there. The anchor is part of the common name: cert-manager signs anew what is asked for in
 * other words, and does nothing of its own when a CA is renewed.
 */
export function desiredCertificate(input: MeshInput): RawObject | undefined {
  const { spec, anchor, renewIssuer } = input;
  const managed = spec.identity.anchor === 'Managed';
  if (managed && anchor.fingerprint === '') return undefined;
  return certificate(input, `${ISSUER_PREFIX}${input.mesh}`, {
    commonName: commonName('issuer', input, [managed ? anchor.fingerprint : '', renewIssuer]),
    duration: ISSUER_DURATION,
    renewBefore: ISSUER_RENEW_BEFORE,
    issuerRef: managed
      ? { name: `${ANCHOR_PREFIX}${input.mesh}`, kind: 'Issuer', group: 'cert-manager.io' }
      : spec.identity.issuerRef,
    role: 'source',
  });
}

interface Wanted {
  readonly commonName: string;
  readonly duration: string;
  readonly renewBefore: string;
  readonly issuerRef: { readonly name: string; readonly kind: string; readonly group: string };
  readonly role: IssuerRole;
}

function certificate(input: MeshInput, name: string, wanted: Wanted): RawObject {
  const { name: issuerName, kind, group } = wanted.issuerRef;
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: metadata(input, name),
    spec: {
      isCA: true,
      commonName: wanted.commonName,
      secretName: name,
      duration: goDuration(parseDurationMs(wanted.duration) ?? 0),
      renewBefore: wanted.renewBefore,
      // Always a new key: a renewal that keeps it would replace nothing that may have been stolen.
      privateKey: { algorithm: 'ECDSA', size: 256, encoding: 'PKCS8', rotationPolicy: 'Always' },
      usages: ['cert sign', 'crl sign', 'digital signature'],
      issuerRef: { name: issuerName, kind, group },
      secretTemplate: { labels: { [ISSUER_LABEL]: input.mesh, [ISSUER_ROLE_LABEL]: wanted.role } },
    },
  };
}

function metadata({ mesh, controlNamespace, object }: MeshInput, name: string): RawObject['metadata'] {
  return {
    name,
    namespace: controlNamespace,
    labels: { 'app.kubernetes.io/managed-by': 'weft-operator', [ISSUER_LABEL]: mesh },
    ownerReferences: [
      { apiVersion: `${WEFT_GROUP}/v1alpha1`, kind: 'MeshConfig', name: object.meta.name, uid: object.meta.uid },
    ],
  };
}

function commonName(what: string, { mesh }: MeshInput, parts: readonly string[]): string {
  return ['weft', what, mesh.slice(0, MESH_CHARACTERS), ...parts.filter(part => part !== '')].join(' ');
}

/** Go knows no days. */
function goDuration(ms: number): string {
  const text = formatDurationMs(Math.floor(ms / 1_000) * 1_000);
  return text.replace(
    /^([0-9]+)d(?:([0-9]+)h)?/,
    (_, days: string, hours = '0') => `${Number(days) * 24 + Number(hours)}h`,
  );
}
