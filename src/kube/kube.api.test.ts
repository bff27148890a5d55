import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { err, objectKey, ok } from '../kernel/index.ts';
import { silentLogger, silentMetrics } from '../runtime/index.ts';
import { recordingMetrics } from '../runtime/recording.ts';
import { judgeLiveness } from '../telemetry/liveness.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { isConflict } from './api-error.ts';
import { createInformer, type Informer } from './informer.ts';
import { createLeadership, type Leadership } from './lease.ts';
import { type RawObject, wholeObject } from './raw-object.ts';
import {
  aConfigMap,
  CONFIG_MAPS,
  configMapPath,
  cuttable,
  eventually,
  forever,
  startRelay,
  startTestApi,
  stopTestApis,
  type TestApi,
} from './testing/api-server.ts';
import { createTokenReviewer } from './token-review.ts';
import { openGate } from './write-gate.ts';
import { createWriter } from './writer.ts';

const clock = { nowMs: () => Date.now() };
const ports = { clock, log: silentLogger, metrics: silentMetrics, random: Math.random };
const keyOf = (name: string) => objectKey({ group: '', kind: 'ConfigMap', namespace: 'default', name });

function watchConfigMaps(client: ApiClient, metrics = silentMetrics, idleMs = 120_000): Informer<RawObject> {
  return createInformer<RawObject>({
    ...ports,
    idleMs,
    metrics,
    type: CONFIG_MAPS,
    client,
    namespace: 'default',
    pageSize: 7,
    decode: raw => {
      const object = wholeObject(CONFIG_MAPS, raw);
      if (object !== undefined) return ok(object);
      return err({ object: keyOf('?'), path: '', reason: 'Malformed', message: 'no name', severity: 'error' });
    },
  });
}

describe('the Kubernetes adapter, with a real API server', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi('kube-api-test');
  });
  afterAll(() => stopTestApis());

  it('an informer lists in pages, follows changes, and after a restart with compacted history tells what was deleted meanwhile', async () => {
    for (let index = 0; index < 20; index++)
      await api.post(configMapPath(), aConfigMap(`map-${index}`, { index: String(index) }));
    const metrics = recordingMetrics();
    const line = cuttable(api.client);
    const informer = watchConfigMaps(line, metrics);
    const stop = new AbortController();
    const running = informer.run(stop.signal);
    await informer.synced;
    expect(informer.store.size).toBe(20);
    expect(informer.store.get(keyOf('map-3'))).toMatchObject({ kind: 'ConfigMap', data: { index: '3' } });
    expect(informer.store.get(keyOf('map-3'))?.metadata).not.toHaveProperty('managedFields');

    await api.merge(configMapPath('map-3'), { data: { index: 'three' } });
    await api.delete(configMapPath('map-4'));
    await eventually('the change and the delete are seen', () => {
      const changed = informer.store.get(keyOf('map-3'))?.['data'] as Record<string, string> | undefined;
      return changed?.['index'] === 'three' && informer.store.get(keyOf('map-4')) === undefined;
    });

    const deleted: string[] = [];
    informer.store.onChange(({ key, after, listed }) => {
      if (after === undefined && listed) deleted.push(key);
    });
    line.cut();
    await api.apiServer.stop();
    await api.etcd.deleteKey('/registry/configmaps/default/map-5');
    await api.etcd.compact();
    await api.apiServer.start();
    await eventually('the API server serves', () =>
      api.get(configMapPath('map-1')).then(
        () => true,
        () => false,
      ),
    );
    line.restore();
    await eventually('the delete during the outage is seen', () => deleted.length > 0, 40_000);
    expect(deleted).toEqual([keyOf('map-5')]);
    expect(informer.store.size).toBe(18);
    expect(metrics.value('weft_informer_restarts_total', { kind: 'ConfigMap', reason: 'expired' })).toBeGreaterThan(0);

    await api.post(configMapPath(), aConfigMap('after'));
    await eventually('the watch goes on', () => informer.store.get(keyOf('after')) !== undefined);

    await api.apiServer.stop();
    await api.apiServer.start();
    await eventually('the API server serves', () =>
      api.post(configMapPath(), aConfigMap('again')).then(
        () => true,
        () => false,
      ),
    );
    await eventually(
      'a restart alone needs no help either',
      () => informer.store.get(keyOf('again')) !== undefined,
      40_000,
    );
    stop.abort();
    await running;
    // The API server starts twice.
  }, 180_000);

  it('an informer whose connection is swallowed without a word comes back by itself, within the time that it may be silent', async () => {
    const relay = await startRelay(api);
    const metrics = recordingMetrics();
    const client = createApiClient({ kubeConfig: relay.kubeConfig, userAgent: 'weft-test', timeoutMs: 2_000 });
    const informer = watchConfigMaps(client, metrics, 3_000);
    const stop = new AbortController();
    const running = informer.run(stop.signal);
    await informer.synced;
    // Connections that wait in the pool will be dead as well.
    await Promise.all(
      Array.from({ length: 5 }, () =>
        client.request({ method: 'GET', path: configMapPath('map-1'), signal: forever }).catch(() => undefined),
      ),
    );
    expect(relay.connections).toBeGreaterThan(3);

    relay.swallow();
    relay.swallowNew(true);
    await api.post(configMapPath(), aConfigMap('while-dark'));
    await eventually('the silence is noticed', () => informer.health().restarts > 0);
    const before = informer.health().lastActivityMs;
    await eventually('the loop goes on trying', () => informer.health().lastActivityMs > before);
    expect(informer.store.get(keyOf('while-dark'))).toBeUndefined();
    expect(judgeLiveness([{ name: 'x', ...informer.health() }], clock, 10_000).alive).toBe(true);

    relay.swallowNew(false);
    const startMs = Date.now();
    await eventually('it has caught up', () => informer.store.get(keyOf('while-dark')) !== undefined, 30_000);
    console.log(`caught up ${Date.now() - startMs} ms after the network came back`);
    await api.post(configMapPath(), aConfigMap('in-the-light'));
    await eventually('the watch goes on', () => informer.store.get(keyOf('in-the-light')) !== undefined);
    stop.abort();
    await running;
    await relay.close();
  }, 120_000);

  it('the lease of a replica in the dark is another’s before its own gate could be open again', async () => {
    const relay = await startRelay(api);
    const client = createApiClient({ kubeConfig: relay.kubeConfig, userAgent: 'weft-test', timeoutMs: 2_000 });
    const timing = { leaseMs: 3_000, renewDeadlineMs: 2_000, retryMs: 100 };
    const lease = (identity: string, by: ApiClient): Leadership =>
      createLeadership({ ...ports, client: by, namespace: 'default', name: 'dark', identity, ...timing });
    const [first, second] = [lease('a', client), lease('b', api.client)];
    const stop = new AbortController();
    const runs = [first.run(stop.signal)];
    await eventually('the first leads', () => first.mayWrite());
    runs.push(second.run(stop.signal));
    relay.swallow();
    relay.swallowNew(true);
    await eventually('the second leads', () => {
      if (first.mayWrite() && second.mayWrite()) throw new Error('two replicas may write at once');
      return second.mayWrite();
    });
    // Attempts end by their own deadline: the loop is alive, and takes part again when it can.
    expect(Date.now() - first.health().lastActivityMs).toBeLessThan(5_000);
    stop.abort();
    await Promise.all(runs);
    await relay.close();
  });

  it('the writer applies, writes nothing when all is as desired, takes a field back, and drops a field that is no longer wanted', async () => {
    const metrics = recordingMetrics();
    const writer = createWriter({
      client: api.client,
      fieldManager: 'weft-test',
      gate: openGate,
      log: silentLogger,
      metrics,
    });
    const read = () => api.get(configMapPath('written'));
    const apply = async (data: Record<string, string>, current: RawObject | undefined) =>
      writer.apply(CONFIG_MAPS, aConfigMap('written', data), { current, signal: forever });

    expect(await apply({ a: '1', b: '2' }, undefined)).toBe('written');
    const version = (await read()).metadata.resourceVersion;
    expect(await apply({ a: '1', b: '2' }, await read())).toBe('unchanged');
    expect((await read()).metadata.resourceVersion).toBe(version);

    await api.merge(configMapPath('written'), { data: { a: 'changed by hand', theirs: 'kept' } });
    expect(await apply({ a: '1', b: '2' }, await read())).toBe('written');
    expect((await read())['data']).toEqual({ a: '1', b: '2', theirs: 'kept' });

    expect(await apply({ a: '1' }, await read())).toBe('written');
    expect((await read())['data']).toEqual({ a: '1', theirs: 'kept' });
    expect(metrics.value('weft_kube_writes_total', { controller: 'weft-test', result: 'written' })).toBe(3);
  });

  it('the writer creates once, and deletes only the object that was meant', async () => {
    const writer = createWriter({ ...ports, client: api.client, fieldManager: 'weft-test', gate: openGate });
    expect(await writer.create(CONFIG_MAPS, aConfigMap('once'), forever)).toBe('written');
    expect(await writer.create(CONFIG_MAPS, aConfigMap('once'), forever)).toBe('unchanged');
    const { uid = '' } = (await api.get(configMapPath('once'))).metadata;
    const ref = { namespace: 'default', name: 'once' };
    const wrong = writer.remove(CONFIG_MAPS, { ...ref, uid: '00000000-0000-0000-0000-000000000000' }, forever);
    await expect(wrong).rejects.toSatisfy(isConflict);
    expect(await writer.remove(CONFIG_MAPS, { ...ref, uid }, forever)).toBe('written');
    expect(await writer.remove(CONFIG_MAPS, { ...ref, uid }, forever)).toBe('unchanged');
  });

  it('a closed gate writes nothing', async () => {
    const writer = createWriter({
      ...ports,
      client: api.client,
      fieldManager: 'weft-test',
      gate: { mayWrite: () => false },
    });
    expect(await writer.create(CONFIG_MAPS, aConfigMap('gated'), forever)).toBe('gated');
    await expect(api.get(configMapPath('gated'))).rejects.toMatchObject({ code: 'not-found' });
  });

  describe('the lease', () => {
    const replica = (name: string, identity: string, client = api.client): Leadership =>
      createLeadership({
        ...ports,
        client,
        namespace: 'default',
        name,
        identity,
        leaseMs: 2000,
        renewDeadlineMs: 1200,
        retryMs: 100,
      });

    /** Samples both gates until `until` holds, and fails if ever both were open. */
    async function neverBoth(first: Leadership, second: Leadership, until: () => boolean): Promise<void> {
      await eventually('leadership settles', () => {
        if (first.mayWrite() && second.mayWrite()) throw new Error('two replicas may write at once');
        return until();
      });
    }

    it('goes to one replica, and at once to the other when the holder stops', async () => {
      const [stopA, stopB] = [new AbortController(), new AbortController()];
      const [first, second] = [replica('handover', 'a'), replica('handover', 'b')];
      const runA = first.run(stopA.signal);
      await eventually('the first leads', () => first.mayWrite());
      const runB = second.run(stopB.signal);
      await neverBoth(first, second, () => first.mayWrite());
      stopA.abort();
      const startMs = performance.now();
      await neverBoth(first, second, () => second.mayWrite());
      // Well below the lease's 2 s: released, not run out.
      expect(performance.now() - startMs).toBeLessThan(1500);
      await runA;
      stopB.abort();
      await runB;
      const lease = await api.get('/apis/coordination.k8s.io/v1/namespaces/default/leases/handover');
      expect(lease['spec']).toMatchObject({ holderIdentity: '' });
    });

    it('closes the gate of a replica that cannot renew before another one opens its own', async () => {
      const line = cuttable(api.client);
      const [stopA, stopB] = [new AbortController(), new AbortController()];
      const [first, second] = [replica('cut', 'a', line), replica('cut', 'b')];
      const changes: boolean[] = [];
      first.onChange(leading => changes.push(leading));
      const runA = first.run(stopA.signal);
      await eventually('the first leads', () => first.mayWrite());
      const runB = second.run(stopB.signal);
      await neverBoth(first, second, () => first.mayWrite());
      line.cut();
      await neverBoth(first, second, () => second.mayWrite());
      expect(changes).toEqual([true, false]);
      stopA.abort();
      stopB.abort();
      await Promise.all([runA, runB]);
    });
  });

  describe('token review', () => {
    const account = '/api/v1/namespaces/default/serviceaccounts';
    const pods = '/api/v1/namespaces/default/pods';
    const token = async (spec: unknown): Promise<string> => {
      const answer = await api.post(`${account}/web/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec,
      });
      return (answer['status'] as { token: string }).token;
    };
    let uid = '';

    beforeAll(async () => {
      await api.post(account, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web' } });
      const spec = { serviceAccountName: 'web', containers: [{ name: 'app', image: 'localhost/app:1' }] };
      uid =
        (await api.post(pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-1' }, spec })).metadata.uid ?? '';
    });

    it('tells pod, UID and service account of a token that is bound to a pod, and asks the API server once', async () => {
      const metrics = recordingMetrics();
      const reviewer = createTokenReviewer({ client: api.client, audience: 'weft.dev', clock, metrics });
      const bound = await token({
        audiences: ['weft.dev'],
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'web-1', uid },
      });
      const answers = await Promise.all([reviewer.authenticate(bound, forever), reviewer.authenticate(bound, forever)]);
      answers.push(await reviewer.authenticate(bound, forever));
      for (const answer of answers)
        expect(answer).toEqual(ok({ namespace: 'default', pod: 'web-1', uid, serviceAccount: 'web' }));
      expect(metrics.value('weft_token_reviews_total', { result: 'accepted' })).toBe(1);
      expect(metrics.value('weft_token_reviews_total', { result: 'cached' })).toBe(1);
    });

    it.each([
      { name: 'of another audience', spec: { audiences: ['other'] }, says: /token was refused/ },
      { name: 'that is bound to no pod', spec: { audiences: ['weft.dev'] }, says: /not bound to a pod/ },
    ])('refuses a token $name', async ({ spec, says }) => {
      const reviewer = createTokenReviewer({ client: api.client, audience: 'weft.dev', clock, metrics: silentMetrics });
      const answer = await reviewer.authenticate(await token(spec), forever);
      expect(answer).toMatchObject({
        ok: false,
        error: { code: 'unauthenticated', message: expect.stringMatching(says) as string },
      });
    });

    it('refuses what is no token', async () => {
      const reviewer = createTokenReviewer({ client: api.client, audience: 'weft.dev', clock, metrics: silentMetrics });
      expect(await reviewer.authenticate('nonsense', forever)).toMatchObject({
        ok: false,
        error: { code: 'unauthenticated' },
      });
    });
  });
});
