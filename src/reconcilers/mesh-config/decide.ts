// What to do about one mesh's issuer. Pure: from what was gathered to objects to write, the rotation step and the condition.
import type { ConditionPlan, RawObject } from '../../kube/index.ts';
import { desiredCertificate } from './certificate.ts';
import type { IdentityStatus, IssuerSecretFacts } from './facts.ts';
import { generationName, type HeldGeneration, type MeshInput } from './gather.ts';
import { planRotation, type RotationPlan } from './rotation.ts';

/** Bundles that are mounted from ConfigMaps arrive within about a minute and a half. */
const SETTLE_MS = 120_000;
const LONGEST_WAIT_MS = 3_600_000;

export interface MeshDecision {
  /** To apply; undefined when the mesh is self-managed or cert-manager is missing. */
  readonly certificate: RawObject | undefined;
  /** A Secret whose content becomes a generation of this name. */
  readonly copy: { readonly name: string; readonly secret: IssuerSecretFacts } | undefined;
  /** Make an issuer ourselves, and the root first when there is none. */
  readonly selfIssue: SelfIssue | undefined;
  readonly rotation: RotationPlan;
  readonly identity: IdentityStatus;
  readonly condition: ConditionPlan;
  readonly againAfterMs: number;
}

export interface SelfIssue {
  readonly root: IssuerSecretFacts | undefined;
  /** Derived from root and predecessor, so that a run on a store that lags behind makes no second successor. */
  readonly name: string;
}

export function decide(input: MeshInput): MeshDecision {
  const selfManaged = input.spec.identity.mode === 'SelfManaged';
  const newest = selfManaged ? newestSelfMade(input) : newestFromSource(input);
  const rotation = planRotation({
    generations: input.generations,
    activeName: input.object.identity.activeIssuer,
    newestName: newest?.name,
    newestRootsHeld: input.newestRootsHeld,
    nowMs: input.nowMs,
    settleMs: SETTLE_MS,
    leafLifeMs: input.leafLifeMs,
  });
  const active = input.generations.find(({ name }) => name === rotation.active);
  const renewal = selfManaged ? selfRenewal(input, newest) : { due: false, afterMs: LONGEST_WAIT_MS };
  const waits = [
    rotation.againAfterMs,
    renewal.afterMs,
    active === undefined ? undefined : active.notAfterMs - input.nowMs,
  ];
  return {
    certificate: selfManaged || input.certManager === 'absent' ? undefined : desiredCertificate(input),
    copy: selfManaged ? undefined : missingCopy(input),
    selfIssue: renewal.due ? { root: input.root, name: successorName(input, newest) } : undefined,
    rotation,
    identity: identityStatus(rotation, active),
    condition: condition(input, active, rotation),
    againAfterMs: Math.max(1_000, Math.min(LONGEST_WAIT_MS, ...waits.filter(wait => wait !== undefined))),
  };
}

function newestFromSource({ source, generations }: MeshInput): HeldGeneration | undefined {
  return source.kind === 'good' ? generations.find(({ name }) => name === source.generationName) : undefined;
}

/** The newest that our root signed: a mesh that was under cert-manager before starts afresh. */
function newestSelfMade({ root, generations }: MeshInput): HeldGeneration | undefined {
  return generations
    .filter(({ usable, secret }) => usable && root !== undefined && secret.caPem === root.certificatePem)
    .toSorted((left, right) => right.createdMs - left.createdMs)[0];
}

function successorName({ mesh, root }: MeshInput, predecessor: HeldGeneration | undefined): string {
  const certificatePem = root?.certificatePem ?? '';
  return generationName(mesh, { certificatePem, caPem: predecessor?.name ?? '' });
}

function selfRenewal({ nowMs }: MeshInput, newest: HeldGeneration | undefined): { due: boolean; afterMs: number } {
  if (newest === undefined) return { due: true, afterMs: LONGEST_WAIT_MS };
  const dueMs = newest.notAfterMs - (newest.notAfterMs - newest.notBeforeMs) / 3;
  return { due: nowMs >= dueMs, afterMs: Math.max(0, dueMs - nowMs) };
}

function missingCopy({ source, generations }: MeshInput): MeshDecision['copy'] {
  if (source.kind !== 'good' || generations.some(({ name }) => name === source.generationName)) return undefined;
  return { name: source.generationName, secret: source.secret };
}

function identityStatus(rotation: RotationPlan, active: HeldGeneration | undefined): IdentityStatus {
  return {
    activeIssuer: rotation.active ?? '',
    nextIssuer: rotation.next ?? '',
    notAfter: active === undefined ? '' : new Date(active.notAfterMs).toISOString().replace('.000Z', 'Z'),
  };
}

type Trouble = Pick<ConditionPlan, 'reason' | 'message'>;

/** First reason wins. */
function trouble(input: MeshInput): Trouble | undefined {
  const { spec, certManager, certificate, source, mesh, generations } = input;
  if (spec.identity.mode === 'SelfManaged') {
    const broken = generations.find(({ usable }) => !usable);
    return generations.some(({ usable }) => usable)
      ? undefined
      : {
          reason: 'IssuerPending',
          message:
            broken === undefined
              ? 'The issuer is being made.'
              : `Secret ${broken.name} cannot be used: ${broken.trouble}`,
        };
  }
  const { kind, name } = spec.identity.issuerRef;
  if (certManager === 'absent') {
    return {
      reason: 'CertManagerMissing',
      message:
        'cert-manager is not installed, so nobody signs the issuer; install it, or set spec.identity.mode to SelfManaged.',
    };
  }
  if (source.kind === 'refused')
    return { reason: 'InvalidIssuer', message: `Secret weft-issuer-${mesh} cannot be used: ${source.why}` };
  if (source.kind === 'absent') {
    const why =
      certificate === undefined || certificate.trouble === ''
        ? 'cert-manager has not answered yet.'
        : certificate.trouble;
    return {
      reason: 'IssuerPending',
      message: `Certificate weft-issuer-${mesh} is not issued: ${why} Check ${kind} ${name}.`,
    };
  }
  return undefined;
}

function condition(input: MeshInput, active: HeldGeneration | undefined, rotation: RotationPlan): ConditionPlan {
  const type = 'IssuerReady';
  const problem = trouble(input);
  if (active === undefined) {
    const waiting = { reason: 'IssuerPending', message: 'The issuer is being copied to a Secret of its own.' };
    return { type, status: 'False', ...(problem ?? waiting) };
  }
  const until = new Date(active.notAfterMs).toISOString();
  if (problem !== undefined) {
    return {
      type,
      status: 'True',
      reason: 'RenewalFailing',
      message: `Signing with ${active.name} until ${until}. ${problem.message}`,
    };
  }
  if (rotation.next !== undefined) {
    const message = `Signing with ${active.name}; ${rotation.next} follows when every proxy trusts its root.`;
    return { type, status: 'True', reason: 'Rotating', message };
  }
  return { type, status: 'True', reason: 'Issued', message: `Signing with ${active.name} until ${until}.` };
}
