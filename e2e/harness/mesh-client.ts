// A client of the mesh's own transport that can be wrong in every way a test needs. Runs on the node: one JSON spec on stdin, one JSON result on
// stdout. It is written against the protocol's description, not with the proxy's code.
import { connect as connectPlain, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';

interface Spec {
  readonly host: string;
  readonly port: number;
  /** Absent: plaintext. */
  readonly tls?: { readonly cert?: string; readonly key?: string; readonly alpn: readonly string[] };
  /** Sent first, hex. */
  readonly preambleHex?: string;
  readonly payload: string;
  readonly timeoutMs: number;
}

interface Result {
  readonly handshake: boolean;
  /** What came back before the connection ended or the time was over. */
  readonly received: string;
  readonly error?: string;
}

function open(spec: Spec): Socket {
  const where = { host: spec.host, port: spec.port };
  if (spec.tls === undefined) return connectPlain(where);
  // Who the server is does not matter here: the server's judgement of the client is what is tested.
  return connectTls({
    ...where,
    ...(spec.tls.cert === undefined ? {} : { cert: spec.tls.cert }),
    ...(spec.tls.key === undefined ? {} : { key: spec.tls.key }),
    ALPNProtocols: [...spec.tls.alpn],
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
  });
}

function attempt(spec: Spec): Promise<Result> {
  return new Promise(resolve => {
    const socket = open(spec);
    const chunks: Buffer[] = [];
    let handshake = false;
    const finish = (error?: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({
        handshake,
        received: Buffer.concat(chunks).toString('latin1'),
        ...(error === undefined ? {} : { error }),
      });
    };
    const timer = setTimeout(() => finish('timeout'), spec.timeoutMs);
    socket.once(spec.tls === undefined ? 'connect' : 'secureConnect', () => {
      handshake = true;
      socket.write(Buffer.concat([Buffer.from(spec.preambleHex ?? '', 'hex'), Buffer.from(spec.payload, 'latin1')]));
    });
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).includes('\r\n\r\n')) finish();
    });
    socket.once('error', (error: Error) => finish(error.message));
    socket.once('close', () => finish());
  });
}

console.log(JSON.stringify(await attempt(JSON.parse(await text(process.stdin)) as Spec)));
