// What to do about one mesh's issuer. Pure: from what was gathered to objects to write, the rotation step and the condition.
import type { ConditionPlan, RawObject } from '../../kube/index.ts';
import { desiredAnchor, desiredCertificate } from './certificate.ts';
import { type IdentityStatus, type IssuerSecretFacts, ROTATION_ABORT, ROTATION_GO_ON } from './facts.ts';
import { parseDurationMs } from '../../kernel/index.ts';
import { generationName, type HeldGeneration, type MeshInput } from './gather.ts';
import { expiry } from './expiry.ts';
import { issuerCondition } from './issuer-condition.ts';
import { planRotation, type RotationPlan } from './rotation.ts';

/**
 * Every running proxy is asked, so this is for pods that are about to run: they believe what their injection and their mounted bundle say. A mesh of
 * short leaves is in a hurry.
 */
const SETTLE_MS = 30_000;
const LONGEST_WAIT_MS = 3_600_000;
/** Names in a status; an object must stay small. */
const NAMED = 10;

export interface MeshDecision {
  /** To apply; undefined when the mesh is self-managed, cert-manager is missing, or its anchor is not there yet. */
  readonly certificate: RawObject | undefined;
  readonly anchor: ReturnType<typeof desiredAnchor>;
  /** A Secret whose content becomes a generation of this name. */
  readonly copy: { readonly name: string; readonly secret: IssuerSecretFacts } | undefined;
  /** Make an issuer ourselves, and the root first when there is none. */
  readonly selfIssue: SelfIssue | undefined;
  /** Roots of a self-managed mesh that nobody hangs on any more. */
  readonly obsoleteRoots: readonly IssuerSecretFacts[];
  readonly rotation: RotationPlan;
  readonly identity: IdentityStatus;
  readonly conditions: readonly ConditionPlan[];
  readonly againAfterMs: number;
}

export interface SelfIssue {
  /** Undefined: it is to be made, under `rootName`. */
  readonly root: IssuerSecretFacts | undefined;
  readonly rootName: string;
  readonly renewal: string;
  /** Derived from root and predecessor, so that a run on a store that lags behind makes no second successor. */
  readonly name: string;
}

export function decide(input: MeshInput): MeshDecision {
  const selfManaged = input.spec.identity.mode === 'SelfManaged';
  const newest = selfManaged ? newestSelfMade(input) : newestFromSource(input);
  const { annotations } = input.object.meta;
  const { leafDuration, rotationPatience } = input.spec.identity;
  const rotation = planRotation({
    generations: input.generations,
    activeName: input.object.identity.activeIssuer,
    newestName: newest?.name,
    proxies: input.proxies,
    goOn: annotations[ROTATION_GO_ON] ?? '',
    abort: annotations[ROTATION_ABORT] ?? '',
    nowMs: input.nowMs,
    settleMs: Math.min(SETTLE_MS, (parseDurationMs(leafDuration) ?? SETTLE_MS) / 4),
    patienceMs: parseDurationMs(rotationPatience) ?? 0,
    leafLifeMs: input.leafLifeMs,
  });
  const active = input.generations.find(({ name }) => name === rotation.active);
  const renewal = selfManaged ? selfRenewal(input, newest) : { due: false, afterMs: LONGEST_WAIT_MS };
  const ends = active === undefined ? undefined : expiry(active, input.nowMs);
  const waits = [rotation.againAfterMs, renewal.afterMs, ends?.againAfterMs];
  const { root, rootName, renewIssuer } = input;
  const underCertManager = !selfManaged && input.certManager === 'present';
  return {
    certificate: underCertManager ? desiredCertificate(input) : undefined,
    anchor: underCertManager ? desiredAnchor(input) : undefined,
    copy: selfManaged ? undefined : missingCopy(input),
    selfIssue: renewal.due ? { root, rootName, renewal: renewIssuer, name: successorName(input, newest) } : undefined,
    obsoleteRoots: obsoleteRoots(input),
    rotation,
    identity: identityStatus(rotation, active),
    conditions: [issuerCondition(input, active, rotation), ...(ends === undefined ? [] : [ends.condition])],
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

function successorName({ mesh, root, renewIssuer }: MeshInput, predecessor: HeldGeneration | undefined): string {
  const certificatePem = root?.certificatePem ?? '';
  return generationName(mesh, { certificatePem, caPem: [predecessor?.name ?? '', renewIssuer].join() });
}

function selfRenewal(
  { nowMs, renewIssuer }: MeshInput,
  newest: HeldGeneration | undefined,
): { due: boolean; afterMs: number } {
  if (newest === undefined || newest.secret.renewal !== renewIssuer) return { due: true, afterMs: LONGEST_WAIT_MS };
  const dueMs = newest.notAfterMs - (newest.notAfterMs - newest.notBeforeMs) / 3;
  return { due: nowMs >= dueMs, afterMs: Math.max(0, dueMs - nowMs) };
}

function missingCopy({ source, generations, object }: MeshInput): MeshDecision['copy'] {
  if (source.kind !== 'good' || generations.some(({ name }) => name === source.generationName)) return undefined;
  // Taken back and dropped: its source goes on to be there.
  if (object.meta.annotations[ROTATION_ABORT] === source.generationName) return undefined;
  return { name: source.generationName, secret: source.secret };
}

function obsoleteRoots({ spec, roots, rootName, generations }: MeshInput): readonly IssuerSecretFacts[] {
  if (spec.identity.mode !== 'SelfManaged') return [];
  return roots.filter(
    root => root.name !== rootName && generations.every(({ secret }) => secret.caPem !== root.certificatePem),
  );
}

function identityStatus(rotation: RotationPlan, active: HeldGeneration | undefined): IdentityStatus {
  return {
    activeIssuer: rotation.active ?? '',
    nextIssuer: rotation.next ?? '',
    notAfter: active === undefined ? '' : new Date(active.notAfterMs).toISOString().replace('.000Z', 'Z'),
    phase: active === undefined ? '' : rotation.phase,
    waitingFor: rotation.waitingFor.slice(0, NAMED),
    waiting: rotation.waitingFor.length,
  };
}
