import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { type TarEntry, tarEnd, tarHeader, tarPadding } from './tar.ts';

/**
 * What goes into an image. `to` is an absolute path in it. A folder in `from` is taken with everything below it; a
 * symbolic link is followed when `from` names it, and kept as a link below such a folder.
 */
export type ImageFile =
  | { from: string; to: string; mode?: number }
  | { content: string | Buffer; to: string; mode?: number }
  | { directory: true; to: string; mode?: number };

interface Source extends TarEntry {
  content?: Buffer;
  from?: string;
}

/** Writes one layer to `output`; returns its size in bytes and its digest (hexadecimal SHA-256). */
export async function writeLayer(
  files: readonly ImageFile[],
  output: string,
): Promise<{ size: number; sha256: string }> {
  const entries = await collect(files);
  const hash = createHash('sha256');
  const handle = await open(output, 'w');
  let size = 0;
  const write = async (bytes: Buffer) => {
    hash.update(bytes);
    size += bytes.length;
    // FileHandle.write may write less than it is given; writeFile on an open handle goes on from the current position.
    await handle.writeFile(bytes);
  };
  try {
    for (const entry of entries) {
      await write(tarHeader(entry));
      const before = size;
      if (entry.content !== undefined) await write(entry.content);
      if (entry.from !== undefined) for await (const chunk of createReadStream(entry.from)) await write(chunk);
      if (size - before !== entry.size) throw new Error(`${entry.from ?? entry.path} changed while it was read`);
      await write(tarPadding(entry.size));
    }
    await write(tarEnd());
  } finally {
    await handle.close();
  }
  return { size, sha256: hash.digest('hex') };
}

// Sorted by path, each parent folder before its content; a later file of the same path replaces an earlier one.
async function collect(files: readonly ImageFile[]): Promise<Source[]> {
  const entries = new Map<string, Source>();
  for (const file of files) {
    const path = posix.normalize(file.to).replace(/^\/+/, '').replace(/\/+$/, '');
    if (path === '' || path.startsWith('..')) throw new Error(`${file.to} is not a path inside an image`);
    for await (const entry of expand(file, path)) {
      for (const parent of parents(entry.path)) {
        if (!entries.has(parent)) entries.set(parent, directory(parent, 0o755));
      }
      entries.set(entry.path, entry);
    }
  }
  return [...entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

async function* expand(file: ImageFile, path: string): AsyncGenerator<Source> {
  if ('directory' in file) {
    yield directory(`${path}/`, file.mode ?? 0o755);
  } else if ('content' in file) {
    const content = Buffer.from(file.content);
    yield { path, type: 'file', mode: file.mode ?? 0o644, size: content.length, content };
  } else {
    yield* expandFrom(await realpath(file.from), path, file.mode);
  }
}

// Without a mode of its own a file keeps only whether it is executable: the umask of a checkout must not change a digest.
async function* expandFrom(from: string, path: string, mode: number | undefined): AsyncGenerator<Source> {
  const facts = await lstat(from);
  if (facts.isSymbolicLink()) {
    yield { path, type: 'symlink', mode: 0o777, size: 0, target: await readlink(from) };
  } else if (facts.isDirectory()) {
    yield directory(`${path}/`, 0o755);
    for (const name of await readdir(from)) yield* expandFrom(join(from, name), `${path}/${name}`, mode);
  } else {
    const ownMode = (facts.mode & 0o111) === 0 ? 0o644 : 0o755;
    yield { path, type: 'file', mode: mode ?? ownMode, size: facts.size, from };
  }
}

function directory(path: string, mode: number): Source {
  return { path, type: 'directory', mode, size: 0 };
}

function parents(path: string): string[] {
  const parts = path.replace(/\/$/, '').split('/');
  return parts.slice(0, -1).map((_, index) => `${parts.slice(0, index + 1).join('/')}/`);
}
