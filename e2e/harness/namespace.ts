import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { nodeExec } from '../cluster/index.ts';
import { apply, clusterName, kubectl } from './node.ts';

export interface CaseNamespace {
  readonly name: string;
}

const kept = process.env['WEFT_E2E_KEEP'] !== undefined;
const dumps = resolve(import.meta.dirname, '../../.cluster', clusterName, 'dumps');

interface NamespaceOptions {
  readonly meshed?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

function uniqueName(title: string): string {
  const words = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-|-$/g, '');
  return `${words}-${Math.random().toString(36).slice(2, 6)}`;
}

async function create(name: string, { meshed, annotations, labels }: NamespaceOptions = {}): Promise<void> {
  await apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: { 'weft.dev/test': 'true', ...labels },
      annotations: { ...(meshed === false ? {} : { 'weft.dev/inject': 'enabled' }), ...annotations },
    },
  });
}

/** A meshed namespace for all cases of a file: made before the first of its own hooks, gone after its last case. Call it once, at the top of the file. */
export function fileNamespace(title: string): string {
  const name = uniqueName(title);
  beforeAll(async () => await create(name));
  afterAll(async () => await kubectl(['delete', 'namespace', name, '--wait=false', '--ignore-not-found']));
  return name;
}

/**
 * Gives a case a namespace of its own, meshed unless told otherwise. When the case fails, pods, events, logs and what each proxy holds are
 * written beside the cluster's logs. WEFT_E2E_KEEP keeps the namespace of a failed case.
 */
export async function withNamespace<T>(
  title: string,
  body: (namespace: CaseNamespace) => Promise<T>,
  options: NamespaceOptions = {},
): Promise<T> {
  const name = uniqueName(title);
  await create(name, options);
  let failed = false;
  try {
    return await body({ name });
  } catch (error) {
    failed = true;
    await dump(name, error);
    throw error;
  } finally {
    if (!(failed && kept)) await kubectl(['delete', 'namespace', name, '--wait=false']);
  }
}

async function dump(namespace: string, error: unknown): Promise<void> {
  const look = async (argv: readonly string[]): Promise<string> => {
    try {
      const { stdout, stderr } = await nodeExec(clusterName, argv, { timeoutMs: 20_000 });
      return `$ ${argv.join(' ')}\n${stdout}${stderr}\n`;
    } catch (failure) {
      return `$ ${argv.join(' ')}\n${String(failure)}\n`;
    }
  };
  const parts = [String(error instanceof Error ? error.stack : error), ''];
  parts.push(
    await look([
      'kubectl',
      'get',
      'pods,services,endpointslices,trafficsplits,servers,serverauthorizations',
      '-n',
      namespace,
      '-o',
      'wide',
    ]),
  );
  parts.push(await look(['kubectl', 'get', 'events', '-n', namespace, '--sort-by=.lastTimestamp']));
  parts.push(
    await look(['kubectl', 'get', 'trafficsplits,servers,serverauthorizations', '-n', namespace, '-o', 'yaml']),
  );
  const { stdout } = await nodeExec(clusterName, [
    'kubectl',
    'get',
    'pods',
    '-n',
    namespace,
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\\n"}{end}',
  ]);
  for (const [pod, address] of stdout
    .trim()
    .split('\n')
    .map(line => line.split(' '))) {
    if (pod === undefined || pod === '') continue;
    parts.push(await look(['kubectl', 'logs', '-n', namespace, pod, '--all-containers', '--prefix', '--tail=200']));
    parts.push(await look(['curl', '-sS', '--max-time', '3', `http://${address}:4191/config`]));
    parts.push(await look(['curl', '-sS', '--max-time', '3', `http://${address}:4191/metrics`]));
  }
  parts.push(await look(['kubectl', 'logs', '-n', 'weft-system', 'deployment/weft-operator', '--tail=200']));
  mkdirSync(dumps, { recursive: true });
  const file = join(dumps, `${namespace}.txt`);
  writeFileSync(file, parts.join('\n'));
  console.error(`the case failed; its namespace is written to ${file}`);
}
