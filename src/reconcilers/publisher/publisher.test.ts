import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Compiled, Plan } from '../../compile/index.ts';
import { podKey } from '../../kernel/index.ts';
import { type Resource, type Snapshot, snapshotOf, viewKey, type Who } from '../../model/index.ts';
import { recordingLogger, recordingMetrics } from '../../runtime/recording.ts';
import { type Compiler, createPublisher } from './index.ts';

const WHO: Who = {
  view: { mesh: 'default', namespace: 'demo', zone: '', node: 'n1' },
  podKey: podKey('demo', 'web-1'),
  podUid: 'uid-web-1',
};
const OTHER: Who = { ...WHO, podKey: podKey('demo', 'web-2') };

const aResource = (name: string, version: string): Resource => ({
  name,
  version,
  derivedFrom: [],
  body: { kind: 'trust', trust: { domains: [], issuer: '', renewWithinMs: 0 } },
});

/** A compiler whose plan is a counter: what it renders says which compilation it comes from. */
function countingCompiler(rendered: string[] = []) {
  let count = 0;
  const compiler: Compiler & { failCompile: boolean; failRender: boolean } = {
    failCompile: false,
    failRender: false,
    compile: () => {
      if (compiler.failCompile) throw new Error('compile is broken');
      count++;
      return { plan: { count } as unknown as Plan, statuses: new Map(), problems: [] } satisfies Compiled;
    },
    renderAgain: ({ plan, who, name }) => {
      if (compiler.failRender) throw new Error('render is broken');
      rendered.push(`${name} ${who.podKey}`);
      const { count } = plan as unknown as { count: number };
      return { resource: aResource(name, `v${count}`), inputs: [count] };
    },
    scopeOf: (_plan, who, name) => (name === 'workload' ? who.podKey : viewKey(who.view)),
    changesBetween: () => () => true,
    whoIs: (_plan, key) => (key === WHO.podKey ? WHO : undefined),
  };
  return compiler;
}

function setUp(compiler = countingCompiler()) {
  const metrics = recordingMetrics();
  const log = recordingLogger();
  let snapshots = 0;
  const publisher = createPublisher({
    snapshot: (): Snapshot => {
      snapshots++;
      return snapshotOf([]).snapshot;
    },
    compileOptions: () => ({ clusterDomain: 'cluster.local', controlNamespace: 'weft-system', trust: new Map() }),
    clock: { nowMs: () => Date.now() },
    log,
    metrics,
    compiler,
  });
  const published: number[] = [];
  publisher.onPublish(() => published.push(publisher.generation));
  return { publisher, compiler, metrics, log, published, snapshots: () => snapshots };
}

describe('publisher', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const turn = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

  it('publishes the first change after a quiet time at once, and what follows within 20 ms together', async () => {
    const { publisher, published, snapshots } = setUp();
    publisher.request();
    publisher.request();
    await turn();
    expect(published).toEqual([1]);
    publisher.request();
    await turn(10);
    publisher.request();
    expect(published).toEqual([1]);
    await turn(10);
    expect(published).toEqual([1, 2]);
    await turn(100);
    expect({ published, snapshots: snapshots() }).toEqual({ published: [1, 2], snapshots: 2 });
    publisher.close();
  });

  it('answers nothing before the first publication', () => {
    const { publisher } = setUp();
    expect([
      publisher.generation,
      publisher.resource(WHO, 'trust'),
      publisher.view(WHO.podKey),
      publisher.current(),
    ]).toEqual([0, undefined, undefined, undefined]);
  });

  it('renders once per view and name, but the workload once per pod', async () => {
    const rendered: string[] = [];
    const { publisher } = setUp(countingCompiler(rendered));
    publisher.request();
    await turn();
    for (const who of [WHO, OTHER, WHO]) {
      publisher.resource(who, 'outbound/10.0.0.1:80');
      publisher.resource(who, 'workload');
    }
    expect(rendered).toEqual(
      ['outbound/10.0.0.1:80 ', 'workload ', 'workload '].map(
        (text, index) => text + (index === 2 ? OTHER : WHO).podKey,
      ),
    );
    expect(publisher.resource(OTHER, 'outbound/10.0.0.1:80')).toBe(publisher.resource(WHO, 'outbound/10.0.0.1:80'));
    publisher.close();
  });

  it('keeps the last good configuration when compile throws, says so, and recovers', async () => {
    const { publisher, compiler, metrics, log, published } = setUp();
    publisher.request();
    await turn(50);
    compiler.failCompile = true;
    publisher.request();
    await turn(50);
    expect(publisher.generation).toBe(1);
    expect(publisher.resource(WHO, 'trust')?.version).toBe('v1');
    expect(metrics.value('weft_compile_total', { result: 'failed' })).toBe(1);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    compiler.failCompile = false;
    publisher.request();
    await turn(50);
    expect(publisher.resource(WHO, 'trust')?.version).toBe('v2');
    expect(published).toEqual([1, 2]);
    publisher.close();
  });

  it('keeps a resource as it was when rendering it throws, however often', async () => {
    const { publisher, compiler, metrics } = setUp();
    publisher.request();
    await turn(50);
    publisher.resource(WHO, 'trust');
    compiler.failRender = true;
    for (let round = 0; round < 3; round++) {
      publisher.request();
      await turn(50);
      expect(publisher.resource(WHO, 'trust')?.version).toBe('v1');
    }
    expect(metrics.value('weft_render_errors_total')).toBe(3);
    compiler.failRender = false;
    publisher.request();
    await turn(50);
    expect(publisher.resource(WHO, 'trust')?.version).toBe('v5');
    publisher.close();
  });

  it('hands what was rendered before to the next render', async () => {
    const compiler = countingCompiler();
    const handed: (readonly unknown[] | undefined)[] = [];
    const renderAgain = compiler.renderAgain.bind(compiler);
    compiler.renderAgain = (ask, before) => {
      handed.push(before?.inputs);
      return renderAgain(ask, before);
    };
    const { publisher } = setUp(compiler);
    for (let round = 0; round < 3; round++) {
      publisher.request();
      await turn(50);
      publisher.resource(WHO, 'trust');
    }
    expect(handed).toEqual([undefined, [1], [2]]);
    publisher.close();
  });

  it('says what need not be asked for again, and forgets what nobody holds any more', async () => {
    const compiler = countingCompiler();
    compiler.changesBetween = () => (_who, name) => name === 'outbound/10.0.0.1:80';
    const { publisher } = setUp(compiler);
    const publish = async (): Promise<readonly boolean[]> => {
      publisher.request();
      await turn(50);
      return ['trust', 'outbound/10.0.0.1:80'].map(name => publisher.changed(WHO, name));
    };
    expect(await publish()).toEqual([true, true]);
    publisher.resource(WHO, 'trust');
    expect(await publish()).toEqual([false, true]);
    for (let index = 0; index <= 1_000; index++) publisher.resource(WHO, `outbound/10.1.0.1:${index}`);
    // Everything is asked for anew, once, and what is not is gone.
    expect(await publish()).toEqual([true, true]);
    publisher.resource(WHO, 'trust');
    expect(await publish()).toEqual([false, true]);
    publisher.close();
  });

  it('tells every listener, though one of them fails', async () => {
    const { publisher, published } = setUp();
    publisher.onPublish(() => {
      throw new Error('listener is broken');
    });
    const later: number[] = [];
    publisher.onPublish(() => later.push(publisher.generation));
    publisher.request();
    await turn();
    expect([published, later]).toEqual([[1], [1]]);
    publisher.close();
  });
});
