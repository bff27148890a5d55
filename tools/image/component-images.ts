import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot, ensureComponent, withLock } from '../components/build.ts';
import { buildImage, type ImageOptions } from './archive.ts';
import { dynamicFiles } from './dynamic-files.ts';

export type ImageName =
  | 'pause'
  | 'coredns'
  | 'cert-manager-controller'
  | 'podinfo'
  | 'testapp'
  | 'nginx'
  | 'haproxy'
  | 'flagger'
  | 'flagger-loadtester';

/** The tag under which each image is imported; manifests name it with `imagePullPolicy: IfNotPresent`. */
export function imageTag(name: ImageName): string {
  return `localhost/${name}:1`;
}

/** Path of the docker-archive tarball of a component's image; built if the component or its settings changed. */
export async function ensureImage(name: ImageName): Promise<string> {
  const options = await imageOptions[name]();
  const sources = options.files.map(file => ('from' in file ? dirname(file.from) : ''));
  const hash = createHash('sha256').update(JSON.stringify([options, sources]));
  // The code that writes images is part of what they are.
  for (const file of ['archive.ts', 'layer.ts', 'tar.ts']) hash.update(await readFile(join(import.meta.dirname, file)));
  const output = join(cacheRoot(), 'images', `${name}-${hash.digest('hex').slice(0, 16)}.tar`);
  const isBuilt = async () =>
    await stat(output).then(
      () => true,
      () => false,
    );
  if (await isBuilt()) return output;
  return await withLock(`${output}.lock`, async () => ((await isBuilt()) ? output : await buildImage(options, output)));
}

// The path of a component's binary contains the hash of its sources, so it stands for the content; a program of Debian carries its version.
const imageOptions: Readonly<Record<ImageName, () => Promise<ImageOptions>>> = {
  pause: async () => staticImage('pause', await ensureComponent('pause'), '65535:65535'),
  // Root without capabilities but NET_BIND_SERVICE, which its manifest grants: it listens on port 53.
  coredns: async () => staticImage('coredns', await ensureComponent('coredns'), '0'),
  'cert-manager-controller': async () =>
    staticImage('cert-manager-controller', await ensureComponent('cert-manager'), '1000:1000'),
  podinfo: async () => ({
    ...staticImage('podinfo', await ensureComponent('podinfo'), '1000:1000'),
    workdir: '/data',
  }),
  testapp: async () => staticImage('testapp', await ensureComponent('testapp'), '1000:1000'),
  flagger: async () => staticImage('flagger', await ensureComponent('flagger'), '1000:1000'),
  'flagger-loadtester': loadtester,
  // Both find their configuration where a ConfigMap is mounted, and write nowhere but /tmp.
  nginx: async () => await debianImage('nginx', ['/usr/sbin/nginx', '-e', 'stderr', '-c', '/config/nginx.conf']),
  haproxy: async () => await debianImage('haproxy', ['/usr/sbin/haproxy', '-db', '-f', '/config/haproxy.cfg']),
};

/** Flagger's load tester with the shell and the load generator that its commands are made of. */
async function loadtester(): Promise<ImageOptions> {
  const image = staticImage('flagger-loadtester', await ensureComponent('flagger-loadtester'), '1000:1000');
  const shell = '/usr/bin/dash';
  return {
    ...image,
    files: [
      ...image.files,
      { from: await ensureComponent('hey'), to: '/usr/bin/hey', mode: 0o755 },
      { from: shell, to: '/usr/bin/sh', mode: 0o755 },
      ...(await dynamicFiles(shell)),
    ],
  };
}

/** A program of the Debian package that it comes from, with what it is linked to. */
async function debianImage(name: ImageName, entrypoint: readonly [string, ...string[]]): Promise<ImageOptions> {
  const [program] = entrypoint;
  const owner = (await run('dpkg-query', ['--search', program])).split(':')[0] ?? '';
  const version = (await run('dpkg-query', ['--show', '--showformat', '${Version}', owner])).trim();
  return {
    tag: imageTag(name),
    entrypoint,
    user: '1000:1000',
    labels: { version: `${owner} ${version}` },
    files: [
      { from: program, to: program, mode: 0o755 },
      ...(await dynamicFiles(program)),
      { directory: true, to: '/config' },
      { directory: true, to: '/tmp', mode: 0o1777 },
    ],
  };
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, args)).stdout;
}

function staticImage(name: ImageName, binary: string, user: string): ImageOptions {
  const program = `/${basename(binary)}`;
  return {
    tag: imageTag(name),
    entrypoint: [program],
    user,
    files: [
      { from: binary, to: program, mode: 0o755 },
      { directory: true, to: '/data', mode: 0o1777 },
      { directory: true, to: '/tmp', mode: 0o1777 },
    ],
  };
}
