// Lists in pages, so that a large collection never sits in memory as one answer.
import type { ApiClient, Query } from './api-client.ts';
import { isRecord } from './raw-object.ts';

export interface ListRequest {
  readonly client: ApiClient;
  readonly path: string;
  readonly query: Query;
  readonly pageSize: number;
  readonly signal: AbortSignal;
  readonly onItem: (item: unknown) => void;
  /** After each page. */
  readonly onPage: () => void;
}

/** Returns the resource version from which a watch continues. A 410 half-way (the pages expired) comes out as ApiError: start again. */
export async function listAll(request: ListRequest): Promise<string> {
  const { client, path, query, pageSize, signal, onItem, onPage } = request;
  let continueFrom: string | undefined;
  for (;;) {
    const page = await client.request({
      method: 'GET',
      path,
      query: { ...query, limit: pageSize, continue: continueFrom },
      signal,
    });
    const { metadata, items } = isRecord(page) ? page : {};
    const meta = isRecord(metadata) ? metadata : {};
    for (const item of Array.isArray(items) ? items : []) onItem(item);
    onPage();
    const next = meta['continue'];
    if (typeof next !== 'string' || next === '')
      return typeof meta['resourceVersion'] === 'string' ? meta['resourceVersion'] : '';
    continueFrom = next;
  }
}
