import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ImageFile, writeLayer } from './layer.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';

export interface ImageOptions {
  /** Name and tag, with a registry part so that no runtime expands it: `localhost/weft-proxy:dev`. */
  tag: string;
  entrypoint: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** `uid` or `uid:gid`, numeric: there is no passwd file in an empty image. */
  user?: string;
  workdir?: string;
  files: readonly ImageFile[];
  labels?: Readonly<Record<string, string>>;
}

/**
 * Writes the image as a docker-archive tarball with one layer and returns `output`.
 *
 * Equal options and file contents give equal bytes: entries are sorted, times are 0, owners root. The file appears whole
 * or not at all. Formats: https://github.com/moby/docker-image-spec (v1.2 combined image JSON and filesystem archive).
 */
export async function buildImage(options: ImageOptions, output: string): Promise<string> {
  await mkdir(dirname(output), { recursive: true });
  const scratch = await mkdtemp(`${output}.tmp-`);
  try {
    const layer = join(scratch, 'layer.tar');
    const { size, sha256 } = await writeLayer(options.files, layer);
    const config = Buffer.from(JSON.stringify(imageConfig(options, sha256)));
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    const layerName = `${sha256}/layer.tar`;
    const manifest = Buffer.from(
      JSON.stringify([{ Config: configName, RepoTags: [options.tag], Layers: [layerName] }]),
    );
    const parts = Readable.from(
      (async function* () {
        yield* member('manifest.json', manifest.length, [manifest]);
        yield* member(configName, config.length, [config]);
        yield* member(layerName, size, createReadStream(layer));
        yield tarEnd();
      })(),
    );
    const whole = join(scratch, basename(output));
    await pipeline(parts, createWriteStream(whole));
    await rename(whole, output);
    return output;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function* member(
  path: string,
  size: number,
  content: Iterable<Buffer> | AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  yield tarHeader({ path, type: 'file', mode: 0o644, size });
  yield* content;
  yield tarPadding(size);
}

function imageConfig(options: ImageOptions, layerSha256: string): object {
  const env = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`);
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Entrypoint: options.entrypoint,
      Env: env.toSorted(),
      User: options.user ?? '0',
      WorkingDir: options.workdir ?? '/',
      Labels: Object.fromEntries(Object.entries(options.labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layerSha256}`] },
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'weft' }],
  };
}
