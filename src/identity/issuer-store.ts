// Issuers and roots by mesh. Fed with Secrets by whoever watches them; a Secret that cannot sign is refused and the last good one stays.
import type { X509Certificate } from 'node:crypto';
import { type Problem, compareText, meshConfigKey } from '../kernel/index.ts';
import type { Clock, Logger, Unsubscribe } from '../runtime/index.ts';
import { type IssuerSecret, type JudgedIssuer, judgeIssuer } from './issuer-secret.ts';
import { readCertificates } from './pem.ts';
import type { SigningCa } from './x509.ts';

/** What one mesh should sign with and believe in. */
export interface MeshIdentity {
  readonly mesh: string;
  readonly trustDomain: string;
  readonly leafDurationMs: number;
  /** The active generation; undefined while there is none. */
  readonly issuer: IssuerSecret | undefined;
  /** Roots beside those of the active Secret: of the next and of the former generation. PEM bundles. */
  readonly extraAnchorsPem: readonly string[];
}

/** The model's Issuer, with its key ready to sign. (This folder stands beside the model, not above it: its types fit by shape.) */
export interface LoadedIssuer {
  /** The immutable Secret it comes from. */
  readonly generation: string;
  readonly trustDomain: string;
  /** DER: the issuer's certificate first, then the intermediates up to, not including, the root. */
  readonly chainDer: readonly Uint8Array[];
  /** PKCS#8, SEC1 or PKCS#1 PEM; never logged, never sent. */
  readonly privateKeyPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly leafDurationMs: number;
  readonly ca: SigningCa;
}

export interface TrustedRoots {
  readonly trustDomain: string;
  readonly anchorsDer: readonly Uint8Array[];
  /** The generation that signs now; empty while there is none. */
  readonly issuer: string;
  readonly leafDurationMs: number;
}

/** The model's IssuerStore, and how it is fed. */
export interface LoadedIssuers {
  /** Undefined: no usable issuer yet. */
  active(mesh: string): LoadedIssuer | undefined;
  trust(): ReadonlyMap<string, TrustedRoots>;
  onChange(listener: () => void): Unsubscribe;
  /**
   * The whole wanted state: a mesh that is not in the list is forgotten. Answers with a Problem per refused Secret or bundle, whose object is
   * the MeshConfig.
   */
  update(meshes: readonly MeshIdentity[]): readonly Problem[];
}

interface Entry {
  readonly issuer: LoadedIssuer | undefined;
  readonly issuerAnchors: readonly X509Certificate[];
  readonly trust: TrustedRoots;
}

export interface IssuerStoreOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

export function createIssuerStore({ clock, log }: IssuerStoreOptions): LoadedIssuers {
  let entries: ReadonlyMap<string, Entry> = new Map();
  const listeners = new Set<() => void>();

  function update(meshes: readonly MeshIdentity[]): readonly Problem[] {
    const problems: Problem[] = [];
    const next = new Map<string, Entry>();
    for (const wanted of meshes)
      next.set(wanted.mesh, nextEntry(wanted, entries.get(wanted.mesh), clock.nowMs(), problems));
    const changed = fingerprint(next) !== fingerprint(entries);
    entries = next;
    if (changed) {
      for (const [mesh, entry] of next) log.info('issuer in use', { mesh, generation: entry.issuer?.generation ?? '' });
      for (const listener of listeners) listener();
    }
    for (const problem of problems) log.warn('issuer refused', { object: problem.object, reason: problem.message });
    return problems;
  }

  return {
    active: mesh => entries.get(mesh)?.issuer,
    trust: () =>
      new Map(
        [...entries]
          .filter(([, entry]) => entry.trust.anchorsDer.length > 0)
          .map(([mesh, entry]) => [mesh, entry.trust]),
      ),
    onChange: (listener): Unsubscribe => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    update,
  };
}

type Refuse = (message: string) => void;

function nextEntry(wanted: MeshIdentity, held: Entry | undefined, nowMs: number, problems: Problem[]): Entry {
  const refuse: Refuse = message => {
    const object = meshConfigKey(wanted.mesh);
    problems.push({ object, path: 'spec.identity', reason: 'InvalidIssuer', message, severity: 'error' });
  };
  // A refused Secret leaves its trust domain behind too: issuer, roots and names of one mesh always belong together.
  const { issuer, issuerAnchors, trustDomain } = issuerPart(wanted, held, nowMs, refuse);
  const anchors = [...issuerAnchors, ...extraAnchors(wanted, refuse)].filter(
    anchor => anchor.ca && nowMs < anchor.validToDate.getTime(),
  );
  const { generation = '', leafDurationMs = wanted.leafDurationMs } = issuer ?? {};
  return {
    issuer,
    issuerAnchors,
    trust: { trustDomain, anchorsDer: sortedDer(anchors), issuer: generation, leafDurationMs },
  };
}

type IssuerPart = Pick<Entry, 'issuer' | 'issuerAnchors'> & { readonly trustDomain: string };

function issuerPart(wanted: MeshIdentity, held: Entry | undefined, nowMs: number, refuse: Refuse): IssuerPart {
  const kept = { issuer: held?.issuer, issuerAnchors: held?.issuerAnchors ?? [] };
  if (wanted.issuer === undefined) return { ...kept, trustDomain: wanted.trustDomain };
  const judged = judgeIssuer(wanted.issuer, nowMs);
  if (!judged.ok) {
    refuse(`Secret ${wanted.issuer.name} cannot be used: ${judged.error}`);
    return { ...kept, trustDomain: held?.trust.trustDomain ?? wanted.trustDomain };
  }
  const loaded = load(wanted, wanted.issuer, judged.value);
  // An issuer that did not change stays the same object: who signs with it can tell a change by identity.
  const issuer = kept.issuer !== undefined && sameIssuer(kept.issuer, loaded) ? kept.issuer : loaded;
  return { issuer, issuerAnchors: judged.value.anchors, trustDomain: wanted.trustDomain };
}

function extraAnchors(wanted: MeshIdentity, refuse: Refuse): readonly X509Certificate[] {
  const anchors: X509Certificate[] = [];
  for (const bundle of wanted.extraAnchorsPem) {
    const read = readCertificates(bundle);
    if (read.ok) anchors.push(...read.value);
    else refuse(`a bundle of trust anchors cannot be used: ${read.error}`);
  }
  return anchors;
}

function load(wanted: MeshIdentity, secret: IssuerSecret, judged: JudgedIssuer): LoadedIssuer {
  return {
    generation: secret.name,
    trustDomain: wanted.trustDomain,
    chainDer: judged.chain.map(certificate => certificate.raw),
    privateKeyPem: secret.privateKeyPem,
    notBeforeMs: judged.notBeforeMs,
    notAfterMs: judged.notAfterMs,
    leafDurationMs: wanted.leafDurationMs,
    ca: judged.ca,
  };
}

function sameIssuer(left: LoadedIssuer, right: LoadedIssuer): boolean {
  return JSON.stringify(issuerParts(left)) === JSON.stringify(issuerParts(right));
}

function issuerParts(issuer: LoadedIssuer | undefined): readonly unknown[] {
  return [
    issuer?.generation,
    issuer?.trustDomain,
    issuer?.leafDurationMs,
    issuer?.ca.certificate.serialNumber,
    issuer?.notAfterMs,
  ];
}

/** Sorted and without duplicates, so that the order of sources changes no content hash. */
function sortedDer(anchors: readonly X509Certificate[]): readonly Uint8Array[] {
  const unique = new Map(anchors.map(anchor => [anchor.fingerprint256, anchor.raw]));
  return [...unique].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, raw]) => raw);
}

function fingerprint(entries: ReadonlyMap<string, Entry>): string {
  const part = (entry: Entry): readonly unknown[] => [
    ...issuerParts(entry.issuer),
    entry.trust.trustDomain,
    entry.trust.anchorsDer.map(der => Buffer.from(der).toString('base64')),
  ];
  return [...entries]
    .map(([mesh, entry]) => JSON.stringify([mesh, ...part(entry)]))
    .toSorted(compareText)
    .join();
}
