// Everything that one decision about one mesh looks at, read from the stores in one go.
import { type MeshConfigSpec, meshConfig, validateSpec } from '../../api/index.ts';
import { contentHash, meshConfigKey, objectKey, parseDurationMs } from '../../kernel/index.ts';
import { BACKDATE_MS, judgeIssuer, readCertificates } from '../../identity/index.ts';
import type { Store } from '../../kube/index.ts';
import {
  type CertificateFacts,
  type IssuerFacts,
  type IssuerSecretFacts,
  type MeshConfigFacts,
  RENEW_ANCHOR,
  RENEW_ISSUER,
} from './facts.ts';
import { ANCHOR_PREFIX, ISSUER_PREFIX, ROOT_PREFIX } from './map.ts';
import type { Generation, RotatingProxy } from './rotation.ts';

export interface MeshConfigStores {
  readonly meshConfigs: Store<MeshConfigFacts>;
  readonly secrets: Store<IssuerSecretFacts>;
  readonly certificates: Store<CertificateFacts>;
  readonly issuers: Store<IssuerFacts>;
}

export interface GatherPorts extends MeshConfigStores {
  /** Whether the API knows cert-manager's kinds. */
  readonly certManagerPresent: () => boolean;
  readonly controlNamespace: string;
  /** The proxies of a mesh, and whether each believes in these anchors (PEM). */
  readonly proxies: (mesh: string, caPem: string) => readonly RotatingProxy[];
  readonly nowMs: () => number;
}

/** What was found in the Secret that cert-manager (or we, for a self-managed mesh) writes. */
export type SourceState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'good'; readonly generationName: string; readonly secret: IssuerSecretFacts };

/** The trust anchor that cert-manager makes for us, with the objects of ours around it. */
export interface AnchorState {
  readonly certificate: CertificateFacts | undefined;
  readonly issuer: IssuerFacts | undefined;
  /** Hash of the certificate; empty while there is none that can be used. */
  readonly fingerprint: string;
  /** Why not; empty when there is none yet. */
  readonly trouble: string;
}

export interface HeldGeneration extends Generation {
  readonly secret: IssuerSecretFacts;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Why it is not usable; empty when it is. */
  readonly trouble: string;
}

export interface MeshInput {
  readonly mesh: string;
  readonly object: MeshConfigFacts;
  readonly spec: MeshConfigSpec;
  readonly controlNamespace: string;
  readonly certManager: 'present' | 'absent';
  readonly certificate: CertificateFacts | undefined;
  readonly anchor: AnchorState;
  readonly source: SourceState;
  readonly generations: readonly HeldGeneration[];
  /** Of a self-managed mesh: the name that its root is to have, the Secret of that name, and all roots. */
  readonly rootName: string;
  readonly root: IssuerSecretFacts | undefined;
  readonly roots: readonly IssuerSecretFacts[];
  /** What was asked for by annotation, as a hash; empty: nothing. */
  readonly renewIssuer: string;
  readonly renewAnchor: string;
  readonly proxies: readonly RotatingProxy[];
  readonly leafLifeMs: number;
  readonly nowMs: number;
}

export function generationName(mesh: string, secret: Pick<IssuerSecretFacts, 'certificatePem' | 'caPem'>): string {
  return `${ISSUER_PREFIX}${mesh}-${contentHash([secret.certificatePem, secret.caPem]).slice(0, 8)}`;
}

/** Secrets of one mesh as generations, judged; in the order of their names. */
export function generationsOf(
  mesh: string,
  secrets: Iterable<IssuerSecretFacts>,
  nowMs: number,
): readonly HeldGeneration[] {
  const held: HeldGeneration[] = [];
  for (const secret of secrets) {
    if (secret.mesh !== mesh || secret.role !== 'generation') continue;
    const judged = judgeIssuer(secret, nowMs);
    held.push({
      secret,
      name: secret.name,
      anchorsId: judged.ok
        ? judged.value.anchors
            .map(({ fingerprint256 }) => fingerprint256)
            .toSorted()
            .join()
        : '',
      createdMs: secret.createdMs,
      usable: judged.ok,
      replacedAtMs: secret.replacedAtMs,
      notBeforeMs: judged.ok ? judged.value.notBeforeMs : 0,
      notAfterMs: judged.ok ? judged.value.notAfterMs : 0,
      trouble: judged.ok ? '' : judged.error,
    });
  }
  return held.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function sourceState(mesh: string, secret: IssuerSecretFacts | undefined, nowMs: number): SourceState {
  // cert-manager first makes a Secret with the key alone.
  if (secret === undefined || secret.certificatePem === '') return { kind: 'absent' };
  const judged = judgeIssuer(secret, nowMs);
  if (!judged.ok) return { kind: 'refused', why: judged.error };
  return { kind: 'good', generationName: generationName(mesh, secret), secret };
}

function anchorState(mesh: string, secret: IssuerSecretFacts | undefined, ports: GatherPorts): AnchorState {
  const name = `${ANCHOR_PREFIX}${mesh}`;
  const key = (kind: string) => objectKey({ group: 'cert-manager.io', kind, namespace: ports.controlNamespace, name });
  const objects = { certificate: ports.certificates.get(key('Certificate')), issuer: ports.issuers.get(key('Issuer')) };
  if (secret === undefined || secret.certificatePem === '') return { ...objects, fingerprint: '', trouble: '' };
  const read = readCertificates(secret.certificatePem);
  const [certificate] = read.ok ? read.value : [];
  if (!read.ok || certificate === undefined)
    return { ...objects, fingerprint: '', trouble: `tls.crt: ${read.ok ? 'it holds no certificate' : read.error}` };
  if (!certificate.ca) return { ...objects, fingerprint: '', trouble: 'it is no certificate authority' };
  return { ...objects, fingerprint: renewalHash(certificate.fingerprint256), trouble: '' };
}

/** Short enough for a name or a label; empty for nothing. */
function renewalHash(text: string): string {
  return text === '' ? '' : contentHash([text]).slice(0, 8);
}

/** Undefined when the mesh is gone, or its spec is one that the schema refuses (compile says so in its status). */
export function gather(mesh: string, ports: GatherPorts): MeshInput | undefined {
  const object = ports.meshConfigs.get(meshConfigKey(mesh));
  const spec = object === undefined ? undefined : validateSpec(meshConfig, object.spec);
  if (object === undefined || spec === undefined || !spec.ok) return undefined;
  const { controlNamespace: namespace } = ports;
  const nowMs = ports.nowMs();
  const all = [...ports.secrets.snapshot().values()];
  const name = `${ISSUER_PREFIX}${mesh}`;
  const ofRole = (role: IssuerSecretFacts['role']) =>
    all.filter(secret => secret.mesh === mesh && secret.role === role);
  const source = sourceState(mesh, ofRole('source')[0], nowMs);
  const { annotations } = object.meta;
  const renewAnchor = renewalHash(annotations[RENEW_ANCHOR] ?? '');
  const rootName = [`${ROOT_PREFIX}${mesh}`, renewAnchor].filter(part => part !== '').join('-');
  const roots = ofRole('root');
  const root = roots.find(secret => secret.name === rootName);
  const newestCa =
    spec.value.identity.mode === 'SelfManaged'
      ? (root?.certificatePem ?? '')
      : source.kind === 'good'
        ? source.secret.caPem || source.secret.certificatePem
        : '';
  return {
    mesh,
    object,
    spec: spec.value,
    controlNamespace: namespace,
    certManager: ports.certManagerPresent() ? 'present' : 'absent',
    certificate: ports.certificates.get(objectKey({ group: 'cert-manager.io', kind: 'Certificate', namespace, name })),
    source,
    generations: generationsOf(mesh, all, nowMs),
    anchor: anchorState(mesh, ofRole('anchor')[0], ports),
    rootName,
    root,
    roots,
    renewIssuer: renewalHash(annotations[RENEW_ISSUER] ?? ''),
    renewAnchor,
    proxies: ports.proxies(mesh, newestCa),
    // A leaf is backdated, and clocks differ: both are allowed for once more.
    leafLifeMs: (parseDurationMs(spec.value.identity.leafDuration) ?? 86_400_000) + 2 * BACKDATE_MS,
    nowMs,
  };
}
