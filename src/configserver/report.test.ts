import { Client, credentials, Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { err, ok } from '../kernel/index.ts';
import type { Report, ReportSink } from '../model/index.ts';
import { decodeReportAnswer, encodeReport } from '../wire/index.ts';
import { TELEMETRY_SERVICE } from './grpc-server.ts';
import { aConfigServer, type Fixture } from './testing/fixture.ts';

const aReport = (sequence: number): Report => ({
  instance: 18_000_000_000_000_000_000n,
  sequence,
  names: [{ id: 1, labels: 'direction="inbound"' }],
  requests: [
    {
      name: 1,
      begun: 3,
      responses: [
        {
          status: 200,
          grpcStatus: undefined,
          failure: false,
          error: '',
          overflow: false,
          buckets: [1, 3],
          latencySumUs: 6_000.0,
        },
      ],
    },
  ],
  connections: [
    { name: 1, opened: 1, closed: [{ errno: 'ECONNRESET', count: 1 }], readBytes: 2 ** 45, writtenBytes: 0 },
  ],
});

describe('reports of proxies', () => {
  let fixture: Fixture | undefined;
  const received: { readonly pod: string; readonly report: Report }[] = [];
  const sink: ReportSink = {
    open: ({ podUid }) => ({
      receive: report => {
        received.push({ pod: podUid, report });
        return report.sequence === 99 ? err('it is 99') : ok(true);
      },
    }),
  };

  afterEach(async () => {
    received.length = 0;
    await fixture?.close();
  });

  function connect({ port, authority }: Fixture, token: string) {
    const name = 'operator.default.weft.dev';
    const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(authority.root.certificatePem)), {
      'grpc.ssl_target_name_override': name,
      'grpc.default_authority': name,
      'grpc.use_local_subchannel_pool': 1,
    });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const { path, requestSerialize, responseDeserialize } = TELEMETRY_SERVICE.report;
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(path, requestSerialize, responseDeserialize, metadata);
    const answers: number[] = [];
    call.on('data', (bytes: Buffer) => answers.push(decodeReportAnswer(bytes)));
    call.on('error', () => undefined);
    const ended = new Promise<StatusObject>(resolve => {
      call.once('status', (end: StatusObject) => {
        client.close();
        resolve(end);
      });
    });
    return {
      answers,
      ended,
      send: (bytes: Uint8Array) => void call.write(Buffer.from(bytes)),
      close: () => call.cancel(),
    };
  }

  it('reach the sink whole, as those of the pod that the token is bound to, and are acknowledged one by one', async () => {
    fixture = await aConfigServer({ reports: sink });
    const proxy = connect(fixture, 'web');
    proxy.send(encodeReport(aReport(1)));
    await vi.waitFor(() => expect(proxy.answers).toEqual([1]));
    proxy.send(encodeReport(aReport(2)));
    await vi.waitFor(() => expect(proxy.answers).toEqual([1, 2]));
    expect(received).toMatchObject([1, 2].map(sequence => ({ pod: 'uid-web', report: aReport(sequence) })));
    expect(fixture.metrics.value('weft_signals_reports_total', { result: 'ok' })).toBe(2);
    proxy.close();
  });

  it('are refused without a good token, from a pod of another mesh, and when they cannot be read', async () => {
    fixture = await aConfigServer({ reports: sink });
    expect((await connect(fixture, 'bad').ended).code).toBe(status.UNAUTHENTICATED);
    expect((await connect(fixture, 'stranger').ended).code).toBe(status.PERMISSION_DENIED);
    const garbled = connect(fixture, 'web');
    garbled.send(Uint8Array.of(255));
    expect((await garbled.ended).code).toBe(status.INVALID_ARGUMENT);
    const faulty = connect(fixture, 'web');
    faulty.send(encodeReport(aReport(99)));
    expect(await faulty.ended).toMatchObject({ code: status.INVALID_ARGUMENT, details: 'it is 99' });
    expect(received.map(({ report }) => report.sequence)).toEqual([99]);
  });

  it('are not taken where nobody asked for them: the proxy is told so', async () => {
    fixture = await aConfigServer();
    expect((await connect(fixture, 'web').ended).code).toBe(status.UNIMPLEMENTED);
  });
});
