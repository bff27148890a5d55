// Mesh configuration: the issuer of every mesh. Root kind MeshConfig; Certificate (cert-manager) and Secrets of the control namespace map to it.
// Owns: Certificate `weft-issuer-<mesh>`, Certificate and Issuer `weft-anchor-<mesh>` (managed anchor), Secrets `weft-issuer-<mesh>-<hash8>` (immutable
// generations) and `weft-root-<mesh>` (self-managed), and of MeshConfig's status the field `identity` and the conditions `IssuerReady` (Issued, Rotating,
// RotationHeld, Renewing, RenewalFailing; IssuerPending, InvalidIssuer, CertManagerMissing) and `IssuerLasts` (Valid; ExpiresSoon, ExpiresVerySoon,
// ExpiresAtOnce, Expired). RBAC: rbac.ts. Imports L0 to L3.
import {
  createController,
  done,
  type Clock,
  type Controller,
  type Logger,
  type Metrics,
  requeueAfter,
} from '../../runtime/index.ts';
import type { StatusWriter, WriteGate, Writer } from '../../kube/index.ts';
import { apply } from './apply.ts';
import { decide } from './decide.ts';
import { gather, type MeshConfigStores } from './gather.ts';
import type { RotatingProxy } from './rotation.ts';
import { createRotationMetrics } from './metrics.ts';
import { meshOfCertificate, meshOfMeshConfig, meshOfSecret } from './map.ts';

export {
  type CertificateFacts,
  decodeCertificate,
  decodeIssuer,
  decodeIssuerSecret,
  decodeMeshConfig,
  ISSUER_LABEL,
  ISSUERS,
  type IssuerFacts,
  type IssuerSecretFacts,
  MESH_CONFIGS,
  type MeshConfigFacts,
} from './facts.ts';
export { createFeed } from './feed.ts';
export type { MeshConfigStores } from './gather.ts';
export { rbac } from './rbac.ts';
export { rotatingProxies } from './proxies.ts';
export type { RotatingProxy } from './rotation.ts';

export interface MeshConfigReconcilerOptions {
  readonly stores: MeshConfigStores;
  readonly certManagerPresent: () => boolean;
  readonly onCertManager: (listener: () => void) => void;
  readonly controlNamespace: string;
  readonly proxies: (mesh: string, caPem: string) => readonly RotatingProxy[];
  readonly gate: WriteGate;
  readonly writer: Writer;
  readonly status: StatusWriter;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

export interface MeshConfigReconciler {
  readonly controller: Controller;
  /** Looks at every mesh again, e.g. after becoming leader or when proxies acknowledged something. */
  resync(): void;
}

export function createMeshConfigReconciler(options: MeshConfigReconcilerOptions): MeshConfigReconciler {
  const { stores, clock, log, metrics, random, gate } = options;
  const say = createRotationMetrics(metrics);
  const controller = createController({
    name: 'mesh-config',
    clock,
    log,
    metrics,
    random,
    reconcile: async (mesh, { signal }) => {
      if (!gate.mayWrite()) return done;
      const input = gather(mesh, { ...options, ...stores, nowMs: () => clock.nowMs() });
      if (input === undefined) return done;
      const decision = decide(input);
      say(input, decision);
      const outcome = await apply(input, decision, options, signal);
      return requeueAfter(
        outcome.kind === 'later' ? Math.min(outcome.afterMs, decision.againAfterMs) : decision.againAfterMs,
      );
    },
  });

  const enqueue = (meshes: readonly string[]): void => {
    for (const mesh of meshes) controller.enqueue(mesh);
  };
  stores.meshConfigs.onChange(({ before, after }) =>
    [before, after].forEach(object => object && enqueue(meshOfMeshConfig(object))),
  );
  stores.secrets.onChange(({ before, after }) =>
    [before, after].forEach(object => object && enqueue(meshOfSecret(object))),
  );
  stores.certificates.onChange(({ before, after }) =>
    [before, after].forEach(object => object && enqueue(meshOfCertificate(object))),
  );
  stores.issuers.onChange(({ before, after }) =>
    [before, after].forEach(object => object && enqueue(meshOfCertificate(object))),
  );
  const resync = (): void => {
    for (const object of stores.meshConfigs.snapshot().values()) controller.enqueue(object.meta.name, 'low');
  };
  options.onCertManager(resync);
  return { controller, resync };
}
