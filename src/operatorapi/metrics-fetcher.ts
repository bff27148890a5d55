import { AppError } from '../kernel/index.ts';
import type { MetricsFetcher } from './ports.ts';

/** A proxy's series are bounded; a page beyond this is not one of ours. */
const MAX_BYTES = 16 * 1024 * 1024;

export const fetchMetrics: MetricsFetcher = async (url, signal) => {
  const response = await fetch(url, { signal, redirect: 'error' });
  if (response.status !== 200 || response.body === null)
    throw new AppError('unavailable', `${url} answered ${response.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new AppError('resource-exhausted', `${url} answered more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};
