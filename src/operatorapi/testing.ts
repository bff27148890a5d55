// Fakes and builders for the tests of this folder.
import * as x509 from '../identity/x509-library.ts';
import { issueServerCertificate, type KeyedCertificate, makeCa } from '../identity/x509.ts';
import { AppError, err, ok, podKey } from '../kernel/index.ts';
import { type MissingReplica, type ProxyState, snapshotOf } from '../model/index.ts';
import { createReadiness, silentLogger } from '../runtime/index.ts';
import type { OperatorApiPorts, Source, User } from './ports.ts';

export const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
export const SERVER_NAME = 'weft-operator.weft-system.svc';

export function constant<T>(value: T): Source<T> {
  return { current: () => value, onChange: () => () => {} };
}

/** A value that a test replaces. */
export function variable<T>(first?: T): Source<T> & { set(value: T): void } {
  const listeners = new Set<() => void>();
  let value = first;
  return {
    current: () => value,
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    set: next => {
      value = next;
      for (const listener of listeners) listener();
    },
  };
}

export function aProxy(pod: string, changes: Partial<ProxyState> = {}): ProxyState {
  return {
    who: {
      podKey: podKey('demo', pod),
      podUid: `uid-${pod}`,
      view: { mesh: 'default', namespace: 'demo', zone: 'z1', node: 'n1' },
    },
    replica: '',
    connected: true,
    proxyVersion: '0.1.0',
    connectedAtMs: NOW_MS - 60_000,
    lastHeardMs: NOW_MS,
    silent: false,
    leaf: undefined,
    resources: [{ name: 'workload', ackedVersion: 'v1', sentVersion: 'v1', nackReason: undefined }],
    ...changes,
  };
}

export function aPod(
  name: string,
  changes: {
    ip?: string;
    meshed?: boolean;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    node?: string;
    phase?: string;
    ready?: boolean;
  } = {},
): object {
  const {
    ip = '10.0.0.1',
    meshed = true,
    labels = {},
    annotations = {},
    node,
    phase = 'Running',
    ready = true,
  } = changes;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'demo',
      uid: `uid-${name}`,
      labels: { ...labels, ...(meshed ? { 'weft.dev/proxy': 'default' } : {}) },
      annotations,
    },
    spec: { containers: [{ name: 'app' }], serviceAccountName: 'default', nodeName: node },
    status: { phase, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

export const aMesh = { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata: { name: 'default' }, spec: {} };

/** Ports of a sound operator with one mesh; `may` says who is allowed what, by default everybody everything. */
export function ports(
  changes: Partial<OperatorApiPorts> & {
    objects?: readonly object[];
    proxies?: readonly ProxyState[];
    missing?: readonly MissingReplica[];
  } = {},
): OperatorApiPorts {
  const { objects = [aMesh], proxies = [], missing = [], ...rest } = changes;
  const { snapshot } = snapshotOf(objects);
  return {
    version: '0.1.0',
    replica: 'weft-operator-a',
    controlNamespace: 'weft-system',
    authenticator: {
      user: async token =>
        token === 'good' ? ok(aUser('jane')) : err(new AppError('unauthenticated', 'unknown token')),
    },
    authorizer: { allow: async () => ok(true) },
    registry: {
      proxies: () => proxies,
      holders: () => ({ total: proxies.length, ready: 0, silent: [] }),
      missing: () => missing,
      onChange: () => () => {},
    },
    config: {
      resource: () => undefined,
      changed: () => true,
      onPublish: () => () => {},
      view: () => undefined,
      generation: 7,
    },
    issuers: {
      active: mesh => (mesh === 'default' ? anIssuer() : undefined),
      trust: () => new Map(),
      onChange: () => () => {},
    },
    snapshot: () => snapshot,
    findings: () => ({ statuses: new Map(), problems: [] }),
    readiness: createReadiness(),
    fetchMetrics: async () => '',
    clock: { nowMs: () => NOW_MS },
    logger: silentLogger,
    ...rest,
  };
}

export function anIssuer(changes: { notAfterMs?: number } = {}) {
  return {
    generation: 'weft-issuer-default-1',
    trustDomain: 'cluster.local',
    chainDer: [],
    privateKeyPem: 'secret',
    notBeforeMs: 0,
    notAfterMs: NOW_MS + 90 * 86_400_000,
    leafDurationMs: 86_400_000,
    ...changes,
  };
}

export function aUser(name: string): User {
  return { name, uid: '', groups: ['system:authenticated'], extra: {} };
}

/** A certificate authority, and a server certificate by it. */
export async function servingPair(): Promise<{ ca: KeyedCertificate; leaf: KeyedCertificate }> {
  const times = { nowMs: Date.now(), validForMs: 3_600_000 };
  const ca = await makeCa({ ...times, commonName: 'test' });
  return { ca, leaf: await issueServerCertificate(ca, { ...times, dnsNames: [SERVER_NAME] }) };
}

/** A client certificate as kubeadm makes them: user in CN, groups in O. */
export async function clientCertificate(
  ca: KeyedCertificate,
  user: string,
  groups: readonly string[],
): Promise<{ cert: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const der = Buffer.from(ca.privateKeyPem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const signingKey = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [...groups.map(group => ({ O: [group] })), { CN: [user] }],
    issuer: new x509.X509Certificate(ca.certificatePem).subjectName,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth], true)],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}
