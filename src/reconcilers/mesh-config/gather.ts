// Everything that one decision about one mesh looks at, read from the stores in one go.
import { type MeshConfigSpec, meshConfig, validateSpec } from '../../api/index.ts';
import { contentHash, meshConfigKey, objectKey, parseDurationMs } from '../../kernel/index.ts';
import { BACKDATE_MS, judgeIssuer } from '../../identity/index.ts';
import type { Store } from '../../kube/index.ts';
import type { CertificateFacts, IssuerSecretFacts, MeshConfigFacts } from './facts.ts';
import { ISSUER_PREFIX } from './map.ts';
import type { Generation } from './rotation.ts';

export interface MeshConfigStores {
  readonly meshConfigs: Store<MeshConfigFacts>;
  readonly secrets: Store<IssuerSecretFacts>;
  readonly certificates: Store<CertificateFacts>;
}

export interface GatherPorts extends MeshConfigStores {
  /** Whether the API knows cert-manager's kinds. */
  readonly certManagerPresent: () => boolean;
  readonly controlNamespace: string;
  /** Whether every proxy of the mesh that is connected has acknowledged trust in these anchors (PEM). */
  readonly rootsHeld: (mesh: string, caPem: string) => boolean;
  readonly nowMs: () => number;
}

/** What was found in the Secret that cert-manager (or we, for a self-managed mesh) writes. */
export type SourceState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'good'; readonly generationName: string; readonly secret: IssuerSecretFacts };

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
  readonly source: SourceState;
  readonly generations: readonly HeldGeneration[];
  readonly root: IssuerSecretFacts | undefined;
  readonly newestRootsHeld: boolean;
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

/** Undefined when the mesh is gone, or its spec is one that the schema refuses (compile says so in its status). */
export function gather(mesh: string, ports: GatherPorts): MeshInput | undefined {
  const object = ports.meshConfigs.get(meshConfigKey(mesh));
  const spec = object === undefined ? undefined : validateSpec(meshConfig, object.spec);
  if (object === undefined || spec === undefined || !spec.ok) return undefined;
  const { controlNamespace: namespace } = ports;
  const nowMs = ports.nowMs();
  const all = [...ports.secrets.snapshot().values()];
  const name = `${ISSUER_PREFIX}${mesh}`;
  const ofRole = (role: IssuerSecretFacts['role']) => all.find(secret => secret.mesh === mesh && secret.role === role);
  const source = sourceState(mesh, ofRole('source'), nowMs);
  return {
    mesh,
    object,
    spec: spec.value,
    controlNamespace: namespace,
    certManager: ports.certManagerPresent() ? 'present' : 'absent',
    certificate: ports.certificates.get(objectKey({ group: 'cert-manager.io', kind: 'Certificate', namespace, name })),
    source,
    generations: generationsOf(mesh, all, nowMs),
    root: ofRole('root'),
    newestRootsHeld:
      source.kind === 'good' && ports.rootsHeld(mesh, source.secret.caPem || source.secret.certificatePem),
    // A leaf is backdated, and clocks differ: both are allowed for once more.
    leafLifeMs: (parseDurationMs(spec.value.identity.leafDuration) ?? 86_400_000) + 2 * BACKDATE_MS,
    nowMs,
  };
}
