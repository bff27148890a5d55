// One line of a watch stream.
import { ApiError } from './api-error.ts';
import { isRecord } from './raw-object.ts';

export type WatchEvent =
  | { readonly kind: 'applied' | 'deleted' | 'bookmark'; readonly object: unknown; readonly resourceVersion: string }
  | { readonly kind: 'error'; readonly error: ApiError }
  | { readonly kind: 'unreadable'; readonly detail: string };

const KINDS = { ADDED: 'applied', MODIFIED: 'applied', DELETED: 'deleted', BOOKMARK: 'bookmark' } as const;

export function parseWatchLine(line: string): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (thrown) {
    return { kind: 'unreadable', detail: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  if (!isRecord(value)) return { kind: 'unreadable', detail: 'not an object' };
  const { type, object } = value;
  if (type === 'ERROR') return { kind: 'error', error: errorOf(object) };
  const kind = typeof type === 'string' ? KINDS[type as keyof typeof KINDS] : undefined;
  const resourceVersion = versionOf(object);
  if (kind === undefined || resourceVersion === '')
    return { kind: 'unreadable', detail: `event of type ${String(type)}` };
  return { kind, object, resourceVersion };
}

function versionOf(object: unknown): string {
  const metadata = isRecord(object) ? object['metadata'] : undefined;
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  return typeof version === 'string' ? version : '';
}

function errorOf(object: unknown): ApiError {
  const { code, reason, message } = isRecord(object) ? object : {};
  return new ApiError(
    typeof code === 'number' ? code : 500,
    typeof reason === 'string' ? reason : '',
    typeof message === 'string' ? message : 'the watch ended with an error that says nothing',
  );
}
