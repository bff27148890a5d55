// One HTTP exchange with an address that a user named: bounded in time and in what is read of the answer; no redirect is followed.
import { type IncomingMessage, request as plain } from 'node:http';
import { request as secure } from 'node:https';

export interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  readonly timeoutMs: number;
  /** Any certificate will do. */
  readonly insecure: boolean;
  readonly signal: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
}

export type Send = (exchange: Exchange) => Promise<Reply>;

/** What is read of an answer; a sentence or one number is all that is needed. */
const MAX_BYTES = 1_048_576;

export const send: Send = async ({ method, url, headers, body, timeoutMs, insecure, signal }) => {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    // Connections are not kept: what is called every few seconds may have moved meanwhile.
    const options = { method, agent: false as const, headers: { ...headers, ...length }, signal: deadline };
    const outgoing = url.startsWith('https:')
      ? secure(url, { ...options, rejectUnauthorized: !insecure }, resolve)
      : plain(url, options, resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the answer is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
};
