// Which generation of an issuer signs, and when another takes over or is dropped. Pure; driven by Secrets, by what proxies have said, and by the clock.
//
// A generation is an immutable copy of one issuer. There is no state between two runs but the Secrets, the name of the active generation in
// MeshConfig.status and what proxies say, so any replica can take a rotation up where it stands:
//
//   Trusting   new generation with another root: `next`. Its root is trusted beside the others; it signs once every proxy is known to hold that
//              root and the settle time is over (for bundles that are mounted from ConfigMaps). A new generation with the same roots skips this.
//   Renewing   the new one signs; the former is stamped as replaced and its root stays trusted until every proxy is known to have a certificate of
//              the new one, or no certificate of the former can be alive.
//   Stable     one generation.
//
// A proxy that cannot be heard holds the step back and is named. After a stated time a person may go on without it (`goOn`), or at any time go back
// (`abort`): what signed before signs again, and since nothing was dropped everybody still believes it. When the active generation is gone or over,
// the newest usable one signs at once: waiting would help nobody.

/** Proxies and people are heard as they speak; this is for what nobody says. */
const ASK_AGAIN_MS = 60_000;

export interface Generation {
  readonly name: string;
  /** Equal for generations with equal trust anchors. */
  readonly anchorsId: string;
  readonly createdMs: number;
  /** What is not usable (cannot be read, not yet or no longer valid) never signs. */
  readonly usable: boolean;
  readonly replacedAtMs: number | undefined;
}

/** A pod with a proxy that runs, as far as rotation is concerned. */
export interface RotatingProxy {
  /** `namespace/pod` */
  readonly name: string;
  /** Whether it is known to believe in the roots of the newest generation. */
  readonly trustsNewest: boolean;
  /** Generation that signed its certificate; empty when it has not said so; undefined: it is of another mesh, which trusts this one. */
  readonly leaf: string | undefined;
}

export interface RotationInput {
  readonly generations: readonly Generation[];
  /** From MeshConfig.status; empty before the first. */
  readonly activeName: string;
  /** The generation made from what the source holds now; undefined when the source is unusable. */
  readonly newestName: string | undefined;
  readonly proxies: readonly RotatingProxy[];
  /** Generation that a person lets sign although proxies are silent; empty: none. Heard only once `patienceMs` have passed since it was made. */
  readonly goOn: string;
  /** Generation that a person does not want; empty: none. */
  readonly abort: string;
  readonly nowMs: number;
  readonly settleMs: number;
  readonly patienceMs: number;
  /** The longest that a leaf of a replaced generation can live on, clock skew included. */
  readonly leafLifeMs: number;
}

export type RotationPhase = 'Stable' | 'Trusting' | 'Renewing';

export interface RotationPlan {
  readonly phase: RotationPhase;
  readonly active: string | undefined;
  readonly next: string | undefined;
  /** Proxies that the phase waits for, sorted. */
  readonly waitingFor: readonly string[];
  /** It has waited for them for longer than the patience, so a person may decide. */
  readonly overdue: boolean;
  /** To be stamped as replaced now. */
  readonly replaced: readonly string[];
  /** Stamped earlier but in use again: the stamp must go, or the next one would count from the wrong time. */
  readonly restored: readonly string[];
  /** To be deleted. */
  readonly finished: readonly string[];
  /** When to look again even if nothing changes. */
  readonly againAfterMs: number | undefined;
}

/** The rule before any status is written, and when the generation that status names cannot sign: every replica comes to the same answer. */
export function activeGeneration<G extends Generation>(generations: readonly G[], activeName: string): G | undefined {
  return generations.find(({ name, usable }) => usable && name === activeName) ?? youngest(generations);
}

function youngest<G extends Generation>(generations: readonly G[]): G | undefined {
  return generations
    .filter(({ usable }) => usable)
    .toSorted((left, right) => right.createdMs - left.createdMs || (left.name < right.name ? -1 : 1))[0];
}

export function planRotation(input: RotationInput): RotationPlan {
  const { generations, nowMs } = input;
  const held = heldGeneration(input);
  const newest = generations.find(({ name, usable }) => usable && name === input.newestName && name !== input.abort);
  const untrusting = input.proxies.filter(({ trustsNewest }) => !trustsNewest).map(({ name }) => name);
  const waitMs = newest === undefined || held === undefined ? 0 : waitLeft(held, newest, untrusting, input);
  const active = newest !== undefined && waitMs === 0 ? newest : held;
  const next = newest !== undefined && newest !== active ? newest : undefined;
  const others = generations.filter(generation => generation !== active && generation !== next);
  const ends = new Map(others.map(generation => [generation, endMs(generation, active, input)]));
  const finished = others.filter(generation => (ends.get(generation) ?? 0) <= nowMs);
  const lagging = input.proxies.filter(proxy => !isRenewed(proxy, active)).map(({ name }) => name);
  const leaving = others.filter(generation => !finished.includes(generation) && generation.usable);
  const phase = next !== undefined ? 'Trusting' : leaving.length > 0 ? 'Renewing' : 'Stable';
  const waits = [...ends.values()].filter(atMs => atMs > nowMs).map(atMs => atMs - nowMs);
  // What proxies say comes as events; the settle time and the patience do not.
  if (next !== undefined) waits.push(Math.max(waitMs, 1_000));
  return {
    phase,
    active: active?.name,
    next: next?.name,
    waitingFor: (phase === 'Trusting' ? untrusting : phase === 'Renewing' ? lagging : []).toSorted(),
    overdue: next !== undefined && untrusting.length > 0 && nowMs - next.createdMs >= input.patienceMs,
    replaced: others.filter(({ replacedAtMs }) => replacedAtMs === undefined).map(({ name }) => name),
    restored: [active, next].flatMap(generation => (generation?.replacedAtMs === undefined ? [] : [generation.name])),
    finished: finished.map(({ name }) => name),
    againAfterMs: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

/** What signs if nothing new takes over: what did so before, unless somebody took it back and there is something to go back to. */
function heldGeneration({ generations, activeName, abort }: RotationInput): Generation | undefined {
  const wanted = generations.filter(({ name }) => name !== abort);
  return activeGeneration(wanted.some(({ usable }) => usable) ? wanted : generations, activeName);
}

/** 0 when `newest` may sign now. */
function waitLeft(held: Generation, newest: Generation, untrusting: readonly string[], input: RotationInput): number {
  // Replaced generations are trusted still, and nobody needs to be asked twice.
  if (held.anchorsId === newest.anchorsId) return 0;
  const ageMs = input.nowMs - newest.createdMs;
  if (ageMs < input.settleMs) return input.settleMs - ageMs;
  if (untrusting.length === 0) return 0;
  const leftMs = input.patienceMs - ageMs;
  if (leftMs > 0) return leftMs;
  return input.goOn === newest.name ? 0 : ASK_AGAIN_MS;
}

/** A proxy of another mesh has a certificate of that mesh's own. */
function isRenewed({ leaf }: RotatingProxy, active: Generation | undefined): boolean {
  return leaf === undefined || leaf === active?.name;
}

/** When a generation that does not sign may go. Without a stamp it is stamped first. */
function endMs({ replacedAtMs }: Generation, active: Generation | undefined, input: RotationInput): number {
  if (replacedAtMs === undefined) return input.nowMs + input.leafLifeMs;
  const renewed = active !== undefined && input.proxies.every(proxy => isRenewed(proxy, active));
  return replacedAtMs + (renewed ? Math.min(input.settleMs, input.leafLifeMs) : input.leafLifeMs);
}
