// Hands issuers and roots to the identity store: on every replica, from cluster state alone.
import { type MeshConfigSpec, meshConfig, validateSpec } from '../../api/index.ts';
import { parseDurationMs } from '../../kernel/index.ts';
import type { LoadedIssuers, MeshIdentity } from '../../identity/index.ts';
import type { MeshConfigFacts } from './facts.ts';
import { generationsOf, type MeshConfigStores } from './gather.ts';
import { activeGeneration } from './rotation.ts';

type FeedStores = Pick<MeshConfigStores, 'meshConfigs' | 'secrets'>;

function meshIdentity(object: MeshConfigFacts, spec: MeshConfigSpec, stores: FeedStores, nowMs: number): MeshIdentity {
  const mesh = object.meta.name;
  const generations = generationsOf(mesh, stores.secrets.snapshot().values(), nowMs);
  const active = activeGeneration(generations, object.identity.activeIssuer);
  return {
    mesh,
    trustDomain: spec.trustDomain,
    leafDurationMs: parseDurationMs(spec.identity.leafDuration) ?? 86_400_000,
    issuer: active?.secret,
    // The next generation's root before it signs, and a replaced one's until its leaves are gone: a generation that is there is trusted.
    extraAnchorsPem: generations
      .filter(({ name, usable }) => usable && name !== active?.name)
      .map(({ secret }) => secret.caPem || secret.certificatePem),
  };
}

/** A MeshConfig whose spec the schema refuses keeps what its mesh had: it stays in the list of the former run. */
export function createFeed(
  stores: FeedStores,
  issuers: Pick<LoadedIssuers, 'update'>,
  nowMs: () => number,
): () => void {
  let former = new Map<string, MeshIdentity>();
  return () => {
    const next = new Map<string, MeshIdentity>();
    for (const object of stores.meshConfigs.snapshot().values()) {
      const mesh = object.meta.name;
      const spec = validateSpec(meshConfig, object.spec);
      const identity = spec.ok ? meshIdentity(object, spec.value, stores, nowMs()) : former.get(mesh);
      if (identity !== undefined) next.set(mesh, identity);
    }
    former = next;
    issuers.update([...next.values()]);
  };
}
