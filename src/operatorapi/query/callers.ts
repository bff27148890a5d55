// Who may ask without a token, over a connection without TLS: those that the operator was told of, known by the address that they call from.
import { isIP } from 'node:net';
import { isRunning, type PodFacts } from '../../model/index.ts';

/** `loopback`, or `namespace/serviceaccount` of pods on the network of the cluster. */
export type AllowedCaller = string;

/** Undefined: nobody known; else who it is, for the log. */
export type IdentifyCaller = (address: string | undefined) => string | undefined;

export function createCallers(allowed: readonly AllowedCaller[], pods: () => Iterable<PodFacts>): IdentifyCaller {
  const accounts = new Set(allowed);
  return address => {
    const plain = (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
    if (isIP(plain) === 0) return undefined;
    if (plain === '::1' || plain.startsWith('127.')) return accounts.has('loopback') ? 'loopback' : undefined;
    for (const pod of pods()) {
      // The address of a host belongs to whatever runs there.
      if (pod.hostNetwork || !isRunning(pod) || !pod.ips.includes(plain)) continue;
      const account = `${pod.meta.namespace}/${pod.serviceAccount}`;
      return accounts.has(account) ? account : undefined;
    }
    return undefined;
  };
}
