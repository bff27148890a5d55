import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * Runs `task` while this process alone holds the lock `path`; others wait.
 *
 * The lock is the kernel's (flock(2)), held by a child that ends when our end of its stdin closes. A holder that
 * is killed therefore frees it at once: there is no stale lock to detect. `onWait` is called when somebody else holds it.
 */
export async function withLock<T>(path: string, task: () => Promise<T>, onWait?: () => void): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>(resolve => holder.once('close', () => resolve()));
  const waiting = onWait === undefined ? undefined : setTimeout(onWait, 500);
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', reject);
      holder.once('exit', code => reject(new Error(`flock ${path} ended with ${code} before the lock was held`)));
      createInterface({ input: holder.stdout }).once('line', () => resolve());
    });
    clearTimeout(waiting);
    return await task();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
    await ended;
  }
}
