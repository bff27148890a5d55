// Sends byte streams as they are, each over a connection of its own and to each of the ports, eight at a time. Runs on the node: one JSON spec on
// stdin, `{connected}` on stdout. Whatever the peer does is fine; a connection that cannot be made is not.
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

interface Spec {
  readonly host: string;
  readonly ports: readonly number[];
  /** Hex. */
  readonly streams: readonly string[];
}

function send(host: string, port: number, bytes: Buffer): Promise<boolean> {
  return new Promise(resolve => {
    let connected = false;
    const socket = connect({ host, port }, () => {
      connected = true;
      socket.write(bytes);
      // Half of the streams end politely, the others are cut.
      if (bytes.length % 2 === 0) socket.end();
    });
    // A proxy that waits for more is left alone after a moment; that it then cleans up is what the test looks at.
    const timer = setTimeout(() => socket.destroy(), 300);
    socket.on('data', () => {});
    socket.once('error', () => {});
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(connected);
    });
  });
}

const spec = JSON.parse(await text(process.stdin)) as Spec;
const work = spec.ports.flatMap(port => spec.streams.map(stream => ({ port, bytes: Buffer.from(stream, 'hex') })));
let connected = 0;
let next = 0;
const worker = async (): Promise<void> => {
  for (let item = work[next++]; item !== undefined; item = work[next++]) {
    if (await send(spec.host, item.port, item.bytes)) connected++;
  }
};
await Promise.all(Array.from({ length: 8 }, worker));
console.log(JSON.stringify({ connected }));
