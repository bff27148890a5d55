// Installs Weft into a cluster: builds the images if needed, brings them there, and runs `helm upgrade --install --wait`.
//
// `node tools/install.ts NAME [helm arguments]`: the local node NAME (e2e/cluster). `CLUSTER=current node tools/install.ts [helm arguments]`: the cluster of
// the current kubectl context; WEFT_REGISTRY is then the prefix of the images, which must have been pushed there.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { listImages, loadImage, nodeRun } from '../e2e/cluster/index.ts';
import { ensureComponent } from './components/build.ts';
import { type BuiltImage, ensureWeftImage } from './images.ts';

const chart = join(import.meta.dirname, '../charts/weft');
const HELM_TIMEOUT_MS = 180_000;

export interface InstallOptions {
  /** Further arguments of helm, e.g. `--set=...` or `-f file`. */
  readonly helmArgs?: readonly string[];
  readonly report?: (line: string) => void;
}

/**
 * Installs or upgrades on the local node `name`, which is up, or for `current` in the cluster of the current kubectl context; resolves when every
 * replica is ready.
 */
export async function install(name: string, options: InstallOptions = {}): Promise<void> {
  if (name === 'current') await installCurrent(process.env['WEFT_REGISTRY'], options);
  else await installOnNode(name, options);
}

async function installOnNode(name: string, { helmArgs = [], report = () => {} }: InstallOptions): Promise<void> {
  const images = await buildBoth(report);
  const present = await listImages(name);
  for (const { repository, tag, path } of [images.operator, images.proxy]) {
    if (present.has(`${repository}:${tag}`)) continue;
    report(`loading ${repository}:${tag}`);
    await loadImage(name, path);
  }
  report('installing the chart');
  const argv = [await ensureComponent('helm'), ...helmCommand(images, helmArgs)];
  await nodeRun(name, argv, { timeoutMs: HELM_TIMEOUT_MS + 30_000 });
}

async function installCurrent(
  registry: string | undefined,
  { helmArgs = [], report = () => {} }: InstallOptions,
): Promise<void> {
  const built = await buildBoth(report);
  if (registry === undefined)
    throw new Error(`set WEFT_REGISTRY to a registry that the cluster can pull from. ${pushing(built, 'REGISTRY')}`);
  report(pushing(built, registry));
  const moved = (image: BuiltImage) => ({ ...image, repository: image.repository.replace(/^localhost/, registry) });
  const images = { operator: moved(built.operator), proxy: moved(built.proxy) };
  const child = spawn(await ensureComponent('helm'), helmCommand(images, helmArgs), { stdio: 'inherit' });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`helm ended with ${code}: see its output above`);
}

interface Images {
  readonly operator: BuiltImage;
  readonly proxy: BuiltImage;
}

async function buildBoth(report: (line: string) => void): Promise<Images> {
  report('building images');
  return { operator: await ensureWeftImage('operator'), proxy: await ensureWeftImage('proxy') };
}

export function helmCommand({ operator, proxy }: Images, extra: readonly string[]): string[] {
  // Texts, because a tag of digits alone would become a number.
  const set = `operator.image.repository=${operator.repository},operator.image.tag=${operator.tag},proxy.image.repository=${proxy.repository},proxy.image.tag=${proxy.tag}`;
  const where = ['weft', chart, '--namespace', 'weft-system', '--create-namespace'];
  return [
    'upgrade',
    '--install',
    ...where,
    '--wait',
    '--timeout',
    `${HELM_TIMEOUT_MS / 1000}s`,
    '--set-string',
    set,
    ...extra,
  ];
}

/** This tool has no credentials of a registry, so it pushes nothing itself. */
function pushing({ operator, proxy }: Images, registry: string): string {
  const lines = [operator, proxy].map(({ repository, tag, path }) => {
    const target = `${repository.replace(/^localhost/, registry)}:${tag}`;
    return `  skopeo copy docker-archive:${path} docker://${target}`;
  });
  return ['The images must be in the registry first; push them with, for example:', ...lines].join('\n');
}

async function main(args: readonly string[]): Promise<void> {
  const report = (line: string) => void process.stderr.write(`install: ${line}\n`);
  const [name, ...helmArgs] = process.env['CLUSTER'] === 'current' ? ['current', ...args] : args;
  if (name === undefined || name.startsWith('-')) {
    process.stderr.write(
      'usage: install.ts NAME [helm arguments]   or   CLUSTER=current install.ts [helm arguments]\n',
    );
    process.exitCode = 2;
    return;
  }
  await install(name, { helmArgs, report });
}

if (import.meta.main) {
  await main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`install: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
