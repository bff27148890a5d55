import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { ensureComponent } from '../components/build.ts';

/** A Kubernetes object as far as these tools look into it. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

const chart = join(import.meta.dirname, '../../charts/weft');

/** Runs the built helm. */
export async function helm(...args: string[]): Promise<string> {
  const binary = await ensureComponent('helm');
  const { stdout } = await promisify(execFile)(binary, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** `helm template` of the chart as users install it; a binary built from the module does not know a version of Kubernetes by itself. */
export async function helmTemplate(...args: string[]): Promise<string> {
  return await helm('template', 'weft', chart, '--namespace', 'weft-system', '--kube-version', '1.34.0', ...args);
}

export async function helmLint(...args: string[]): Promise<string> {
  return await helm('lint', chart, '--namespace', 'weft-system', '--kube-version', '1.34.0', ...args);
}

export function manifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map(document => document.toJS() as Manifest | null)
    .filter(manifest => manifest !== null);
}
