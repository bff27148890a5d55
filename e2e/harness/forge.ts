import { execPath } from 'node:process';
import { join } from 'node:path';
import { type KeyedCertificate, issueLeaf, makeCa, signingCa } from '../../src/identity/x509.ts';
import { makeKeyPair, privateKeyPem } from '../../src/identity/keys.ts';
import { nodeRun } from '../cluster/index.ts';
import { clusterName, kubectl } from './node.ts';

export interface Leaf {
  /** Leaf and issuer, PEM. */
  readonly cert: string;
  readonly key: string;
}

interface LeafOptions {
  readonly spiffeId: string;
  readonly nowMs: number;
  readonly validForMs: number;
}

/** A certificate that an authority of our choice signed. */
export async function forgeLeaf(ca: KeyedCertificate, { spiffeId, nowMs, validForMs }: LeafOptions): Promise<Leaf> {
  const keys = await makeKeyPair();
  const leaf = await issueLeaf(signingCa(ca), {
    publicKey: keys.publicKey,
    spiffeId,
    dnsNames: [],
    nowMs,
    validForMs,
    notAfterMs: nowMs + validForMs,
  });
  return { cert: `${leaf.toString('pem')}\n${ca.certificatePem}`, key: await privateKeyPem(keys.privateKey) };
}

/** A root that the mesh has never heard of. */
export async function foreignRoot(): Promise<KeyedCertificate> {
  return await makeCa({ commonName: 'another root', nowMs: Date.now(), validForMs: 3_600_000 });
}

/** The issuer that the mesh signs with now, read from its Secret as only a thief of the cluster's secrets could. */
export async function meshIssuer(mesh = 'default'): Promise<KeyedCertificate> {
  const secret = JSON.parse(
    await kubectl(['get', 'secret', `weft-issuer-${mesh}`, '-n', 'weft-system', '-o', 'json']),
  ) as {
    data: Record<string, string>;
  };
  const read = (field: string): string => Buffer.from(secret.data[field] ?? '', 'base64').toString();
  return { certificatePem: read('tls.crt'), privateKeyPem: read('tls.key') };
}

export type PreambleProtocol = 'http1' | 'http2' | 'opaque' | 'tls';

/** The first bytes inside mesh TLS: "WFT1", protocol, length of the pod UID, port, pod UID. */
export function preamble({
  protocol,
  podUid,
  port,
}: {
  protocol: PreambleProtocol;
  podUid: string;
  port: number;
}): string {
  const uid = Buffer.from(podUid);
  const head = Buffer.alloc(8);
  head.write('WFT1', 0, 'latin1');
  head.writeUInt8({ http1: 1, http2: 2, opaque: 3, tls: 4 }[protocol], 4);
  head.writeUInt8(uid.length, 5);
  head.writeUInt16BE(port, 6);
  return Buffer.concat([head, uid]).toString('hex');
}

export interface AttemptSpec {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly cert?: string; readonly key?: string; readonly alpn: readonly string[] };
  readonly preambleHex?: string;
  readonly payload: string;
}

export interface AttemptResult {
  readonly handshake: boolean;
  readonly received: string;
  readonly error?: string;
}

/** One connection from the node's own network namespace, by the rules of `mesh-client.ts`. */
export async function attempt(spec: AttemptSpec): Promise<AttemptResult> {
  const script = join(import.meta.dirname, 'mesh-client.ts');
  const input = JSON.stringify({ timeoutMs: 5_000, ...spec });
  return JSON.parse(await nodeRun(clusterName, [execPath, script], { input })) as AttemptResult;
}
