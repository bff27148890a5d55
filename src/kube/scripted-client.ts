// An API client for tests that answers from a script: lists from a queue, watches held open until the test ends them.
import type { ApiClient, ApiRequest, WatchRequest } from './api-client.ts';

/** A watch that the informer has opened and that the test drives. */
export interface OpenWatch {
  readonly request: WatchRequest;
  send(type: string, object: unknown): void;
  sendLine(line: string): void;
  /** The server ends the stream. */
  end(): void;
  fail(error: Error): void;
}

export interface ScriptedClient extends ApiClient {
  /** Next answers to requests that are no watches: a value, or an error to throw. The last one is given for ever. */
  readonly answers: unknown[];
  readonly requests: ApiRequest[];
  readonly watches: OpenWatch[];
  /** The next watch is refused with this. */
  refuseWatch(error: Error): void;
}

export function scriptedClient(...answers: unknown[]): ScriptedClient {
  const requests: ApiRequest[] = [];
  const watches: OpenWatch[] = [];
  const refusals: Error[] = [];
  return {
    answers,
    requests,
    watches,
    refuseWatch: error => void refusals.push(error),
    request: async request => {
      requests.push(request);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error) throw answer;
      return answer;
    },
    watch: request => {
      const refusal = refusals.shift();
      if (refusal !== undefined) return Promise.reject(refusal);
      request.onActivity();
      return new Promise((resolve, reject) => {
        const sendLine = (line: string): void => {
          try {
            request.onActivity();
            request.onLine(line);
          } catch (thrown) {
            reject(thrown);
          }
        };
        watches.push({
          request,
          sendLine,
          send: (type, object) => sendLine(JSON.stringify({ type, object })),
          end: () => resolve(),
          fail: reject,
        });
        request.signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
  };
}
