// WebSockets through a pair: Node's own client, gorilla's server.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Pair, startInbound, startPair, startTestapp, type Testapp } from './harness/index.ts';

let application: Testapp;

beforeAll(async () => {
  application = await startTestapp();
});

afterAll(async () => {
  await application.stop();
});

/** Sends each message when the one before has come back; resolves with what came, the protocol agreed on, and how it ended. */
async function echo(
  url: string,
  messages: readonly (string | Uint8Array)[],
): Promise<{ came: unknown[]; protocol: string; code: number }> {
  const socket = new WebSocket(url, ['echo.weft']);
  socket.binaryType = 'arraybuffer';
  const came: unknown[] = [];
  return await new Promise((resolve, reject) => {
    const next = (): void => {
      const message = messages[came.length];
      if (message === undefined) socket.close(1000, 'done');
      else socket.send(message);
    };
    let protocol = '';
    socket.addEventListener('open', () => {
      ({ protocol } = socket);
      next();
    });
    socket.addEventListener('message', ({ data }) => {
      came.push(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
      next();
    });
    socket.addEventListener('close', ({ code }) => resolve({ came, protocol, code }));
    socket.addEventListener('error', () => reject(new Error(`the WebSocket to ${url} failed`)));
  });
}

describe.each<[string, () => Promise<Pair>]>([
  ['through a pair', () => startPair({ port: application.http })],
  ['from outside the mesh', () => startInbound({ port: application.http })],
])('a WebSocket %s', (_, start) => {
  test('carries text, bytes and large messages both ways and closes in order', async () => {
    const pair = await start();
    try {
      const large = new Uint8Array(3_000_000).map((_, index) => (index * 7) % 251);
      const messages = ['hello', new Uint8Array([0, 1, 255]), '', 'ä'.repeat(70_000), large];
      const { came, protocol, code } = await echo(`ws://${pair.host}:${pair.port}/websocket`, messages);
      expect(came.length).toBe(messages.length);
      for (const [index, message] of messages.entries()) {
        const same =
          typeof message === 'string'
            ? came[index] === message
            : Buffer.compare(message, came[index] as Uint8Array) === 0;
        expect(same, `message ${index}`).toBe(true);
      }
      expect([protocol, code]).toEqual(['echo.weft', 1000]);
    } finally {
      await pair.stop();
    }
  });

  test('is refused where the application refuses it', async () => {
    const pair = await start();
    try {
      await expect(echo(`ws://${pair.host}:${pair.port}/healthz`, ['hello'])).rejects.toThrow('failed');
    } finally {
      await pair.stop();
    }
  });
});
