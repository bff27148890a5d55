/**
 * L0: values and text that every layer shares: results, problems, object keys, canonical JSON and its hash, addresses, durations, quantities,
 * well-known names. Pure; imports nothing but node:crypto (hash) and node:net (address syntax).
 */
export { AppError, type AppErrorCode } from './app-error.ts';
export { canonicalJson } from './canonical-json.ts';
export { type Cidr, cidrCovers, cidrHasIp, formatCidr, parseCidr } from './cidr.ts';
export { compareText, sortedUnique } from './compare.ts';
export { contentHash } from './content-hash.ts';
export { DURATION_PATTERN, formatDurationMs, parseDurationMs } from './duration.ts';
export { type ServiceAccountName, type SpiffeId, dnsIdentity, spiffeId } from './identity-name.ts';
export { type Ip, canonicalIp, formatAddress, parseAddress, parseIp } from './ip.ts';
export * from './names.ts';
export {
  type ObjectKey,
  type ObjectName,
  displayName,
  meshConfigKey,
  nameOf,
  namespaceKey,
  namespacedName,
  nodeKey,
  objectKey,
  parseObjectKey,
  podKey,
  serviceKey,
} from './object-key.ts';
export { type PortRange, parsePortList, portListHas } from './port-list.ts';
export type { Problem } from './problem.ts';
export { QUANTITY_PATTERN, type Quantity, gcd, parseQuantity, wholeNumbers } from './quantity.ts';
export { re2Fault, toRegExp } from './re2.ts';
export { type Err, type Ok, type Result, err, ok } from './result.ts';
