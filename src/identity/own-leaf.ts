// The operator's own certificate per mesh, made by that mesh's issuer and renewed before it ends.
//
// Per mesh, one of: missing (no issuer, or signing failed: tried again after RETRY_MS), held (a timer waits for 50-70 % of its life). An issuer
// change renews at once; a mesh that is gone is forgotten; what is held stays in use until its successor is there.
import { AppError, type ServiceAccountName } from '../kernel/index.ts';
import type { Logger, Unsubscribe } from '../runtime/index.ts';
import { type CertifierOptions, signLeaf, usableIssuer } from './certify.ts';
import type { LoadedIssuer, LoadedIssuers } from './issuer-store.ts';
import { makeKeyPair, privateKeyPem } from './keys.ts';
import { certificatePem } from './pem.ts';

const RETRY_MS = 5_000;
/** Node's timers end here; a longer wait is cut into pieces by renewing early, which harms nobody. */
const MAX_TIMER_MS = 2_147_483_647;

/** A certificate and key for a TLS server. */
export interface ServingCertificate {
  /** Leaf, then intermediates. */
  readonly certificatePem: string;
  /** PKCS#8; never logged. */
  readonly privateKeyPem: string;
  readonly notAfterMs: number;
  /** Issuer Secret that signed it. */
  readonly generation: string;
}

export interface OwnLeaves {
  get(mesh: string): ServingCertificate | undefined;
  meshes(): readonly string[];
  onChange(listener: (mesh: string) => void): Unsubscribe;
  close(): void;
}

export interface OwnLeavesOptions extends CertifierOptions {
  readonly issuers: LoadedIssuers;
  readonly account: ServiceAccountName;
  readonly log: Logger;
  /** 0 <= value < 1; spreads renewals of replicas. */
  readonly random: () => number;
}

/** TLS server name of the operator for a mesh. */
export function operatorServerName(mesh: string): string {
  return `operator.${mesh}.weft.dev`;
}

export function createOwnLeaves(options: OwnLeavesOptions): OwnLeaves {
  const { issuers, clock, log, random } = options;
  const held = new Map<string, ServingCertificate>();
  const madeBy = new Map<string, LoadedIssuer>();
  const timers = new Map<string, NodeJS.Timeout>();
  const listeners = new Set<(mesh: string) => void>();
  let closed = false;

  function schedule(mesh: string, delayMs: number): void {
    clearTimeout(timers.get(mesh));
    if (closed) return;
    timers.set(mesh, setTimeout(() => void renew(mesh), Math.min(delayMs, MAX_TIMER_MS)).unref());
  }

  function keep(mesh: string, certificate: ServingCertificate | undefined): void {
    if (certificate === undefined) held.delete(mesh);
    else held.set(mesh, certificate);
    for (const listener of listeners) listener(mesh);
  }

  async function renew(mesh: string): Promise<void> {
    const issuer = usableIssuer(options, mesh);
    if (!issuer.ok) return schedule(mesh, RETRY_MS);
    try {
      const keys = await makeKeyPair();
      const request = { account: options.account, publicKey: keys.publicKey, dnsNames: [operatorServerName(mesh)] };
      const leaf = await signLeaf(options, issuer.value, request);
      const key = await privateKeyPem(keys.privateKey);
      // The mesh may have got another issuer, or have gone, while this one signed; follow() has seen to it then.
      if (closed || issuers.active(mesh) !== issuer.value) return;
      madeBy.set(mesh, issuer.value);
      keep(mesh, {
        certificatePem: leaf.chainDer.map(certificatePem).join(''),
        privateKeyPem: key,
        notAfterMs: leaf.notAfterMs,
        generation: leaf.generation,
      });
      const lifeMs = Math.max(0, leaf.notAfterMs - clock.nowMs());
      schedule(mesh, Math.max(1_000, lifeMs * (0.5 + 0.2 * random())));
    } catch (reason) {
      log.error('own certificate not made', { mesh, err: AppError.from(reason) });
      schedule(mesh, RETRY_MS);
    }
  }

  function follow(): void {
    const wanted = new Set(issuers.trust().keys());
    for (const mesh of [...held.keys(), ...timers.keys()]) {
      if (wanted.has(mesh)) continue;
      clearTimeout(timers.get(mesh));
      timers.delete(mesh);
      madeBy.delete(mesh);
      if (held.has(mesh)) keep(mesh, undefined);
    }
    for (const mesh of wanted) {
      const issuer = issuers.active(mesh);
      if (issuer === undefined || madeBy.get(mesh) !== issuer) void renew(mesh);
    }
  }

  const unsubscribe = issuers.onChange(follow);
  follow();
  return {
    get: mesh => held.get(mesh),
    meshes: () => [...held.keys()],
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => {
      closed = true;
      unsubscribe();
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
