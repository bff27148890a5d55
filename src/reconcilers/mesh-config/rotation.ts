// Which generation of an issuer signs, which comes next, and which roots are trusted. A pure step of a state machine whose state is in the cluster
// alone (MeshConfig.status and the Secrets), so any replica can take it up:
//
//   new generation, same roots      -> signs at once: every proxy trusts it already
//   new generation, another root    -> `next`: its root is trusted beside the others; signs once every proxy is known to hold that root and the
//                                      settle time is over (for bundles mounted from ConfigMaps, and for proxies of other replicas)
//   replaced generation             -> stamped; its root stays trusted until no leaf that it signed can be alive; then it is removed
//   active generation gone or over  -> the newest usable one signs at once: waiting would help nobody

export interface Generation {
  readonly name: string;
  /** Equal for generations with equal trust anchors. */
  readonly anchorsId: string;
  readonly createdMs: number;
  /** What is not usable (cannot be read, not yet or no longer valid) never signs. */
  readonly usable: boolean;
  readonly replacedAtMs: number | undefined;
}

export interface RotationInput {
  readonly generations: readonly Generation[];
  /** From MeshConfig.status; empty before the first. */
  readonly activeName: string;
  /** The generation made from what the source holds now; undefined when the source is unusable. */
  readonly newestName: string | undefined;
  /** Whether every proxy of the mesh holds the roots of that generation. */
  readonly newestRootsHeld: boolean;
  readonly nowMs: number;
  readonly settleMs: number;
  /** The longest that a leaf of a replaced generation can live on, clock skew included. */
  readonly leafLifeMs: number;
}

export interface RotationPlan {
  readonly active: string | undefined;
  readonly next: string | undefined;
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
  const usable = generations.filter(({ usable }) => usable);
  return (
    usable.find(({ name }) => name === activeName) ??
    usable.toSorted((left, right) => right.createdMs - left.createdMs || (left.name < right.name ? -1 : 1))[0]
  );
}

export function planRotation(input: RotationInput): RotationPlan {
  const { generations, newestName, nowMs } = input;
  const held = activeGeneration(generations, input.activeName);
  const newest = generations.find(({ name, usable }) => name === newestName && usable);
  const waitMs = newest === undefined || held === undefined ? 0 : settleLeft(held, newest, input);
  const active = newest !== undefined && waitMs === 0 ? newest : held;
  const next = newest !== undefined && newest !== active ? newest : undefined;
  const others = generations.filter(generation => generation !== active && generation !== next);
  const endMs = ({ replacedAtMs = nowMs }: Generation): number => replacedAtMs + input.leafLifeMs;
  const finished = others.filter(generation => endMs(generation) <= nowMs);
  const waits = others
    .map(endMs)
    .filter(atMs => atMs > nowMs)
    .map(atMs => atMs - nowMs);
  // Acknowledgements come as events; the settle time does not.
  if (next !== undefined) waits.push(Math.max(waitMs, 1_000));
  return {
    active: active?.name,
    next: next?.name,
    replaced: others.filter(({ replacedAtMs }) => replacedAtMs === undefined).map(({ name }) => name),
    restored: [active, next].flatMap(generation => (generation?.replacedAtMs === undefined ? [] : [generation.name])),
    finished: finished.map(({ name }) => name),
    againAfterMs: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

/** 0 when `newest` may sign now. */
function settleLeft(held: Generation, newest: Generation, input: RotationInput): number {
  if (held.anchorsId === newest.anchorsId) return 0;
  const leftMs = newest.createdMs + input.settleMs - input.nowMs;
  if (leftMs > 0) return leftMs;
  return input.newestRootsHeld ? 0 : 1;
}
