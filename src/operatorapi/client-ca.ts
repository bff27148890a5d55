import type { ApiClient } from '../kube/index.ts';
import type { Logger } from '../runtime/index.ts';
import type { Source } from './ports.ts';

const PATH = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';

export interface ClientCaOptions {
  readonly api: Pick<ApiClient, 'request'>;
  readonly logger: Logger;
  readonly refreshMs: number;
}

/**
 * The authority by which the API server knows people with client certificates. The API server publishes it for servers like ours; see
 * https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer. Where it cannot be read, callers need a token.
 */
export function createClientCa({ api, logger, refreshMs }: ClientCaOptions): Source<string> & { close(): void } {
  const listeners = new Set<() => void>();
  const stop = new AbortController();
  let pem: string | undefined;

  async function refresh(): Promise<void> {
    try {
      const map = (await api.request({ method: 'GET', path: PATH, signal: stop.signal })) as {
        data?: Record<string, string>;
      };
      const found = map.data?.['client-ca-file'];
      if (found === pem) return;
      pem = found;
      for (const listener of listeners) listener();
    } catch (err) {
      if (!stop.signal.aborted) logger.warn('client certificate authority not readable', { err });
    }
  }

  void refresh();
  const timer = setInterval(() => void refresh(), refreshMs);
  timer.unref();
  return {
    current: () => pem,
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => {
      clearInterval(timer);
      stop.abort();
    },
  };
}
