import { nodeRun } from '../cluster/index.ts';
import { clusterName, podAddresses } from './node.ts';

/**
 * Kills the processes of a pod whose command line holds `command` with SIGKILL, as the kernel does when memory is short. They are found by their pod's
 * control group, so that no other one can be hit. Resolves with how many there were.
 */
export async function killInPod(podUid: string, command: string): Promise<number> {
  const script = `for p in /proc/[0-9]*; do
    grep -q "pod${podUid}" $p/cgroup 2>/dev/null || continue
    tr '\\0' ' ' < $p/cmdline | grep -q -- '${command}' && kill -9 "\${p#/proc/}" && echo killed
  done; true`;
  const said = await nodeRun(clusterName, ['bash', '-c', script]);
  return said.split('\n').filter(line => line === 'killed').length;
}

/** Kills the process of the operator, of every replica that runs; resolves when it is dead, not when it is back. */
export async function killOperator(): Promise<void> {
  const pods = await podAddresses('weft-system', 'app.kubernetes.io/name=weft-operator');
  const killed = await Promise.all(pods.map(({ uid }) => killInPod(uid, 'operator')));
  if (killed.length === 0 || killed.includes(0))
    throw new Error(`an operator was not there to be killed: ${killed.join(', ')}`);
}
