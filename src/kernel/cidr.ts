import { type Ip, formatIp, parseIp } from './ip.ts';

/** An address range; host bits are cleared. */
export interface Cidr {
  readonly bits: 32 | 128;
  readonly base: bigint;
  readonly prefix: number;
}

/** Reads `10.0.0.0/8`, or a bare address as a range of one; undefined when it is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', length, ...rest] = text.split('/');
  if (rest.length > 0 || (length !== undefined && !/^[0-9]{1,3}$/.test(length))) return undefined;
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  const mapped = ip.bits === 32 && address.includes(':');
  const prefix = length === undefined ? ip.bits : Number(length) - (mapped ? 96 : 0);
  if (prefix < 0 || prefix > ip.bits) return undefined;
  return { bits: ip.bits, base: clear(ip.value, ip.bits, prefix), prefix };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp({ bits: cidr.bits, value: cidr.base })}/${cidr.prefix}`;
}

export function cidrHasIp(cidr: Cidr, ip: Ip): boolean {
  return cidr.bits === ip.bits && clear(ip.value, ip.bits, cidr.prefix) === cidr.base;
}

/** Whether every address of `inner` is in `outer`. */
export function cidrCovers(outer: Cidr, inner: Cidr): boolean {
  return (
    outer.bits === inner.bits &&
    outer.prefix <= inner.prefix &&
    clear(inner.base, inner.bits, outer.prefix) === outer.base
  );
}

function clear(value: bigint, bits: number, prefix: number): bigint {
  const host = BigInt(bits - prefix);
  return (value >> host) << host;
}
