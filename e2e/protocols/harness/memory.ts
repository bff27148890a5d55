import { readFileSync, writeFileSync } from 'node:fs';

function kilobytes(pid: number, name: 'VmHWM' | 'VmRSS'): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (found === null) throw new Error(`/proc/${pid}/status names no ${name}`);
  return Number(found[1]);
}

/** By how many bytes each process grew at the most, at any moment while `run` ran: the kernel keeps the peak, so nothing is missed between two looks. */
export async function growth(pids: readonly number[], run: () => Promise<void>): Promise<readonly number[]> {
  // 5 sets the peak back to what is resident now (proc_pid_clear_refs(5)).
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const before = pids.map(pid => kilobytes(pid, 'VmRSS'));
  await run();
  return pids.map((pid, index) => (kilobytes(pid, 'VmHWM') - (before[index] ?? 0)) * 1024);
}
