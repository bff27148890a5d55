import { join } from 'node:path';
import type { ResourceEvent, ResourceMeta } from '@dot-i/k8s-operator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger, silentMetrics } from '../runtime/index.ts';
import { OperatorBase } from './operator-base.ts';
import {
  aConfigMap,
  configMapPath,
  eventually,
  startTestApi,
  stopTestApis,
  type TestApi,
} from './testing/api-server.ts';

const CRD_FILE = join(import.meta.dirname, '../../crds/weft.dev_meshconfigs.yaml');
const CRD = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/meshconfigs.weft.dev';
const FINALIZER = 'weft.dev/test';

/** Uses what the base class promises to its subclasses. */
class TestOperator extends OperatorBase {
  readonly events: string[] = [];
  cleaned = 0;
  registered: { readonly group: string; readonly plural: string } | undefined;

  protected override async init(): Promise<void> {
    this.registered = await this.registerCustomResourceDefinition(CRD_FILE);
    await this.registerCustomResourceDefinition(CRD_FILE);
    await this.watchResource('', 'v1', 'configmaps', event => this.onEvent(event), 'default');
  }

  uri(namespace?: string): string {
    return this.getCustomResourceApiUri('weft.dev', 'v1alpha1', 'meshconfigs', namespace);
  }

  report(meta: ResourceMeta, status: unknown): Promise<ResourceMeta> {
    return this.patchResourceStatus(meta, status);
  }

  replaceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta> {
    return this.setResourceStatus(meta, status);
  }

  async onEvent(event: ResourceEvent): Promise<void> {
    this.events.push(`${event.type} ${event.meta.name}`);
    if (event.meta.name === 'poison') throw new Error('the handler cannot do this one');
    if (event.meta.name !== 'finalized') return;
    await this.handleResourceFinalizer(event, FINALIZER, () => {
      this.cleaned++;
      return Promise.resolve();
    });
  }
}

describe('the operator base class, with a real API server', () => {
  let api: TestApi;
  let operator: TestOperator;
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    api = await startTestApi('operator-base-test');
    await api.post(configMapPath(), aConfigMap('before'));
    const clock = { nowMs: () => Date.now() };
    const { kubeConfig, client } = api;
    operator = new TestOperator({
      kubeConfig,
      client,
      clock,
      log: silentLogger,
      metrics: silentMetrics,
      random: Math.random,
      fieldManager: 'weft-test',
    });
    stops.push(() => {
      operator.stop();
      return operator.stopped();
    });
    await operator.start();
  });

  afterAll(() => stopTestApis(...stops));

  it('registers a definition, and registering again is no error', async () => {
    expect(operator.registered).toMatchObject({ group: 'weft.dev', plural: 'meshconfigs' });
    expect((await api.get(CRD)).metadata.name).toBe('meshconfigs.weft.dev');
  });

  it('builds paths of the API with and without a namespace', () => {
    const server = api.kubeConfig.getCurrentCluster()?.server ?? '';
    expect(operator.uri()).toBe(`${server}/apis/weft.dev/v1alpha1/meshconfigs`);
    expect(operator.uri('demo')).toBe(`${server}/apis/weft.dev/v1alpha1/namespaces/demo/meshconfigs`);
  });

  it('tells events in order, goes on after a handler that failed, and survives a restart of the API server', async () => {
    await api.post(configMapPath(), aConfigMap('poison'));
    await api.post(configMapPath(), aConfigMap('a'));
    await api.merge(configMapPath('a'), { data: { changed: 'yes' } });
    await api.delete(configMapPath('a'));
    await eventually('the delete is told', () => operator.events.includes('DELETED a'));
    expect(operator.events).toEqual(['ADDED before', 'ADDED poison', 'ADDED a', 'MODIFIED a', 'DELETED a']);
    await api.apiServer.stop();
    await api.apiServer.start();
    await eventually('the API server serves', () =>
      api.post(configMapPath(), aConfigMap('again')).then(
        () => true,
        () => false,
      ),
    );
    await eventually('the new object is told', () => operator.events.includes('ADDED again'), 40_000);
  });

  it('sets a finalizer, and cleans up before the object goes', async () => {
    await api.post(configMapPath(), aConfigMap('finalized'));
    await eventually('the finalizer is set', async () => {
      const { finalizers } = (await api.get(configMapPath('finalized'))).metadata;
      return Array.isArray(finalizers) && finalizers.includes(FINALIZER);
    });
    expect(operator.cleaned).toBe(0);
    await api.delete(configMapPath('finalized'));
    await eventually('the object is gone', () =>
      api.get(configMapPath('finalized')).then(
        () => false,
        () => true,
      ),
    );
    expect(operator.cleaned).toBe(1);
  });

  it('writes status, and throws when the object has changed meanwhile', async () => {
    const apiVersion = 'weft.dev/v1alpha1';
    const path = '/apis/weft.dev/v1alpha1/meshconfigs';
    await eventually('the kind is served', () =>
      api.get(path).then(
        () => true,
        () => false,
      ),
    );
    const { metadata } = await api.post(path, {
      apiVersion,
      kind: 'MeshConfig',
      metadata: { name: 'default' },
      spec: {},
    });
    const { resourceVersion = '' } = metadata;
    const meta = { id: `meshconfigs.${apiVersion}`, apiVersion, kind: 'MeshConfig', name: 'default', resourceVersion };
    const patched = await operator.report(meta, { identity: { activeIssuer: 'one' } });
    expect(patched.resourceVersion).not.toBe(resourceVersion);
    await operator.replaceStatus(patched, { identity: { activeIssuer: 'two' } });
    expect((await api.get(`${path}/default`))['status']).toMatchObject({ identity: { activeIssuer: 'two' } });
    await expect(operator.replaceStatus(meta, {})).rejects.toMatchObject({ status: 409 });
  });
});
