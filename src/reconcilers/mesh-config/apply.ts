// Writes what was decided. No decisions here, but for the random content of keys.
import { issueIntermediate, type KeyedCertificate, makeCa } from '../../identity/index.ts';
import { canonicalJson } from '../../kernel/index.ts';
import {
  CERTIFICATES,
  type RawObject,
  SECRETS,
  type StatusOutcome,
  type StatusWriter,
  type Writer,
} from '../../kube/index.ts';
import type { MeshDecision, SelfIssue } from './decide.ts';
import {
  ISSUERS,
  ISSUER_LABEL,
  ISSUER_ROLE_LABEL,
  type IssuerRole,
  MESH_CONFIGS,
  RENEWAL_LABEL,
  REPLACED_AT,
} from './facts.ts';
import type { MeshInput } from './gather.ts';
import { ISSUER_PREFIX } from './map.ts';

const DAY_MS = 86_400_000;
const ROOT_LIFE_MS = 3_650 * DAY_MS;
const ISSUER_LIFE_MS = 365 * DAY_MS;

export interface ApplyPorts {
  readonly writer: Writer;
  readonly status: StatusWriter;
}

interface SecretContent {
  /** What it was made for; absent or empty: for nothing that was asked. */
  readonly renewal?: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly caPem: string;
}

export async function apply(
  input: MeshInput,
  decision: MeshDecision,
  ports: ApplyPorts,
  signal: AbortSignal,
): Promise<StatusOutcome> {
  const { writer, status } = ports;
  const { certificate, anchor, copy, rotation } = decision;
  const current = (facts: { readonly raw: unknown } | undefined) => ({
    current: facts?.raw as RawObject | undefined,
    signal,
  });
  if (anchor !== undefined) {
    await writer.apply(CERTIFICATES, anchor.certificate, current(input.anchor.certificate));
    await writer.apply(ISSUERS, anchor.issuer, current(input.anchor.issuer));
  }
  if (certificate !== undefined) await writer.apply(CERTIFICATES, certificate, current(input.certificate));
  if (copy !== undefined)
    await writer.create(SECRETS, issuerSecret(input, 'generation', copy.name, copy.secret), signal);
  if (decision.selfIssue !== undefined) await selfIssue(input, decision.selfIssue, writer, signal);
  const annotate = (name: string, annotations: Readonly<Record<string, string>>) => {
    const metadata = { name, namespace: input.controlNamespace, annotations };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata };
    return writer.apply(SECRETS, secret, { current: undefined, signal, annotate: false });
  };
  const now = new Date(input.nowMs).toISOString();
  for (const name of rotation.replaced) await annotate(name, { [REPLACED_AT]: now });
  for (const name of rotation.restored) await annotate(name, {});
  for (const name of rotation.finished) {
    const uid = input.generations.find(generation => generation.name === name)?.secret.uid ?? '';
    await writer.remove(SECRETS, { namespace: input.controlNamespace, name, uid }, signal);
  }
  for (const { name, uid } of decision.obsoleteRoots)
    await writer.remove(SECRETS, { namespace: input.controlNamespace, name, uid }, signal);
  const { identity } = decision;
  const stored = input.object.identity;
  return status.write({
    key: input.object.key,
    type: MESH_CONFIGS,
    uid: input.object.meta.uid,
    plan: { observedGeneration: input.object.meta.generation, conditions: decision.conditions },
    current: input.object.conditions,
    extra: { identity: Object.fromEntries(Object.entries(identity).filter(([, value]) => value !== '')) },
    extraChanged: canonicalJson(identity) !== canonicalJson(stored),
    signal,
  });
}

function issuerSecret(input: MeshInput, role: IssuerRole, name: string, content: SecretContent): RawObject {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: input.controlNamespace,
      labels: {
        'app.kubernetes.io/managed-by': 'weft-operator',
        [ISSUER_LABEL]: input.mesh,
        [ISSUER_ROLE_LABEL]: role,
        ...(content.renewal === undefined || content.renewal === '' ? {} : { [RENEWAL_LABEL]: content.renewal }),
      },
    },
    type: 'kubernetes.io/tls',
    // What signs never changes under anybody's hands.
    immutable: true,
    data: {
      'tls.crt': base64(content.certificatePem),
      'tls.key': base64(content.privateKeyPem),
      'ca.crt': base64(content.caPem),
    },
  };
}

/** The root is written first: an issuer whose root is not in the cluster must not exist. */
async function selfIssue(
  input: MeshInput,
  { root: existing, rootName, renewal, name }: SelfIssue,
  writer: Writer,
  signal: AbortSignal,
): Promise<void> {
  const { mesh, nowMs } = input;
  if (existing === undefined) {
    const root = await makeCa({ commonName: `weft root ${mesh}`.slice(0, 64), nowMs, validForMs: ROOT_LIFE_MS });
    const content = { ...root, caPem: root.certificatePem };
    // Somebody else's root counts if there is one already: the issuer is made from what the store says, at the next run.
    await writer.create(SECRETS, issuerSecret(input, 'root', rootName, content), signal);
    return;
  }
  const root: KeyedCertificate = { certificatePem: existing.certificatePem, privateKeyPem: existing.privateKeyPem };
  const issuer = await issueIntermediate(root, {
    commonName: `${ISSUER_PREFIX}${mesh}`.slice(0, 64),
    pathLength: 0,
    nowMs,
    validForMs: ISSUER_LIFE_MS,
  });
  const content = { ...issuer, caPem: existing.certificatePem, renewal };
  await writer.create(SECRETS, issuerSecret(input, 'generation', name, content), signal);
}
