import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../runtime/index.ts';
import { type Identity, createIdentity } from './index.ts';
import { HOUR_MS, NOW_MS, aMesh, anAuthority } from './testing.ts';

const certificateOf = (identity: Identity, mesh = 'default'): X509Certificate =>
  new X509Certificate(identity.own.get(mesh)?.certificatePem ?? '');

describe("the operator's own certificates", () => {
  let identity: Identity;

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW_MS, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    identity = createIdentity({
      clock: { nowMs: () => Date.now() },
      log: silentLogger,
      controlNamespace: 'weft-system',
      account: { namespace: 'weft-system', serviceAccount: 'weft-operator' },
      random: () => 0.5,
    });
  });

  afterEach(() => {
    identity.close();
    vi.useRealTimers();
  });

  /** The next certificate of a mesh; key generation and signing run outside the fake clock. */
  const nextCertificate = (mesh = 'default'): Promise<void> =>
    new Promise(resolve => {
      const stop = identity.own.onChange(changed => {
        if (changed !== mesh) return;
        stop();
        resolve();
      });
    });

  it('carry the server name of their mesh and the identity of the operator', async () => {
    const made = nextCertificate();
    identity.issuers.update([aMesh((await anAuthority()).secret)]);
    await made;
    expect(certificateOf(identity).subjectAltName).toBe(
      'URI:spiffe://cluster.local/ns/weft-system/sa/weft-operator, DNS:weft-operator.weft-system.serviceaccount.identity.weft-system.cluster.local, DNS:operator.default.weft.dev',
    );
    expect(certificateOf(identity).checkHost('operator.default.weft.dev')).toBe('operator.default.weft.dev');
    expect(certificateOf(identity).checkHost('operator.other.weft.dev')).toBeUndefined();
    expect(identity.own.get('other')).toBeUndefined();
  });

  it('are renewed at 50 to 70 percent of their life, the old one staying until then', async () => {
    const made = nextCertificate();
    identity.issuers.update([aMesh((await anAuthority()).secret)]);
    await made;
    const first = certificateOf(identity).serialNumber;
    vi.advanceTimersByTime(0.59 * 24 * HOUR_MS);
    expect(certificateOf(identity).serialNumber).toBe(first);
    const renewed = nextCertificate();
    vi.advanceTimersByTime(0.02 * 24 * HOUR_MS);
    await renewed;
    expect(certificateOf(identity).serialNumber).not.toBe(first);
  });

  it('are renewed at once when the issuer changes, and only for the mesh whose issuer did', async () => {
    const [first, second, other] = [
      await anAuthority(),
      await anAuthority({ name: 'second' }),
      await anAuthority({ name: 'other' }),
    ];
    const made = Promise.all([nextCertificate(), nextCertificate('other')]);
    const otherMesh = aMesh(other.secret, { mesh: 'other' });
    identity.issuers.update([aMesh(first.secret), otherMesh]);
    await made;
    const untouched = certificateOf(identity, 'other').serialNumber;
    const renewed = nextCertificate();
    identity.issuers.update([aMesh(second.secret), otherMesh]);
    await renewed;
    expect(identity.own.get('default')?.generation).toBe('second');
    expect(certificateOf(identity, 'other').serialNumber).toBe(untouched);
  });

  it('go with their mesh', async () => {
    const made = nextCertificate();
    identity.issuers.update([aMesh((await anAuthority()).secret)]);
    await made;
    identity.issuers.update([]);
    expect([identity.own.get('default'), identity.own.meshes()]).toEqual([undefined, []]);
  });

  it('leave no timer behind when closed', async () => {
    const made = nextCertificate();
    identity.issuers.update([aMesh((await anAuthority()).secret)]);
    await made;
    expect(vi.getTimerCount()).toBe(1);
    identity.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
