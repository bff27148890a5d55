import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ImageFile } from './layer.ts';

/**
 * The shared libraries and the loader that a dynamically linked program needs, as `ldd` names them, for an image that is
 * otherwise empty. The program itself is not among them; for a static program the list is empty.
 * Each library goes to the path by which the loader asks for it.
 */
export async function dynamicFiles(binary: string): Promise<ImageFile[]> {
  const output = await promisify(execFile)('ldd', [binary]).then(
    ({ stdout }) => stdout,
    (error: unknown) => {
      // ldd ends with 1 for a static program, and says so.
      if (/not a dynamic executable/.test(String(error))) return '';
      throw error;
    },
  );
  return parseLdd(output).map(path => ({ from: path, to: path, mode: 0o755 }));
}

/** Absolute paths in the output of ldd(1); throws if a library is missing. The kernel's own (linux-vdso) has no path. */
export function parseLdd(output: string): string[] {
  const missing = /^\s*(\S+) => not found/m.exec(output);
  if (missing !== null) throw new Error(`shared library ${missing[1]} is not installed`);
  return [...output.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map(match => match[1] ?? '').toSorted();
}
