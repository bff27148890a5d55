// For tests: a config server on loopback with two meshes, `default` and `other`, each with an authority of its own.
import type { Identity } from '../../identity/index.ts';
import { createIdentity } from '../../identity/index.ts';
import { type TestAuthority, aMesh, anAuthority } from '../../identity/testing.ts';
import type { HeldResource, ReportSink, Who } from '../../model/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import { type RecordingMetrics, recordingMetrics } from '../../runtime/recording.ts';
import { type ConfigServer, type ConfigServerLimits, createConfigServer } from '../index.ts';
import { type TestProxy, type TestProxyOptions, anAuthenticator, connectProxy } from './proxy.ts';
import { type TestSource, aResource, aSource, aWho } from './source.ts';

export const OUTBOUND = 'outbound/10.0.0.1:80';

export interface Fixture {
  readonly authority: TestAuthority;
  readonly otherAuthority: TestAuthority;
  readonly identity: Identity;
  readonly source: TestSource;
  readonly server: ConfigServer;
  readonly metrics: RecordingMetrics;
  readonly port: number;
  readonly proxy: (options?: Partial<TestProxyOptions>) => TestProxy;
  /** What the first proxy is known to hold under a name. */
  readonly held: (name: string) => HeldResource | undefined;
  readonly close: () => Promise<void>;
}

export interface FixtureOptions {
  readonly limits?: Partial<ConfigServerLimits>;
  readonly pods?: readonly Who[];
  readonly reports?: ReportSink;
}

export async function aConfigServer(options: FixtureOptions = {}): Promise<Fixture> {
  const clock = { nowMs: () => Date.now() };
  const authority = await anAuthority({ nowMs: clock.nowMs() });
  const otherAuthority = await anAuthority({ nowMs: clock.nowMs(), name: 'other' });
  const source = aSource(options.pods ?? [aWho('web'), aWho('job'), aWho('stranger', 'other')]);
  source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v1'));
  const account = { namespace: 'weft-system', serviceAccount: 'weft-operator' };
  const identity = createIdentity({ clock, log: silentLogger, controlNamespace: 'weft-system', account });
  const bothMade = new Promise<void>(resolve => {
    identity.own.onChange(() => {
      if (identity.own.meshes().length === 2) resolve();
    });
  });
  const other = aMesh(otherAuthority.secret, { mesh: 'other', trustDomain: 'other.local' });
  identity.issuers.update([aMesh(authority.secret), other]);
  await bothMade;
  const metrics = recordingMetrics();
  const server = createConfigServer({
    source,
    authenticator: anAuthenticator,
    certify: identity.certify,
    certificates: identity.own,
    clock,
    log: silentLogger,
    metrics,
    ...(options.reports === undefined ? {} : { reports: options.reports }),
    limits: { podWaitMs: 300, ...options.limits },
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 }, new AbortController().signal);
  return {
    authority,
    otherAuthority,
    identity,
    source,
    server,
    metrics,
    port,
    proxy: overrides => connectProxy({ port, root: authority.root, token: 'web', ...overrides }),
    held: name => server.registry.proxies()[0]?.resources.find(resource => resource.name === name),
    close: async () => {
      await server.close(200);
      identity.close();
    },
  };
}
