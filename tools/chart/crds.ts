import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Generated } from './index.ts';

interface Definition {
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}

const root = join(import.meta.dirname, '../..');

/**
 * The chart's copies of crds/: under `files/crds` all of them, which a template prints, and under `crds` the one kind of which the chart also
 * creates an object. Helm applies the latter before it asks the API server whether it knows the kinds of a release. Its copy says that the
 * release `weft` owns it; without that Helm would refuse to take it over from the template.
 */
export async function crdFiles(): Promise<Generated> {
  const names = (await readdir(join(root, 'crds'))).filter(name => name.endsWith('.yaml')).toSorted();
  const files = new Map<string, string>();
  for (const name of names) {
    const content = await readFile(join(root, 'crds', name), 'utf8');
    files.set(`charts/weft/files/crds/${name}`, content);
    const definition: Definition = parse(content);
    if (definition.metadata.name === 'meshconfigs.weft.dev') files.set(`charts/weft/crds/${name}`, owned(definition));
  }
  return { files, owns: ['charts/weft/files/crds', 'charts/weft/crds'] };
}

function owned(definition: Definition): string {
  const { metadata } = definition;
  const labels = { ...metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' };
  const annotations = {
    ...metadata.annotations,
    'meta.helm.sh/release-name': 'weft',
    'meta.helm.sh/release-namespace': 'weft-system',
  };
  // Version 1.1, because Kubernetes reads YAML so: there a bare Off is a boolean.
  return stringify({ ...definition, metadata: { ...metadata, labels, annotations } }, { lineWidth: 0, version: '1.1' });
}
