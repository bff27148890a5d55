const SUFFIX: Readonly<Record<string, readonly [bigint, bigint]>> = {
  '': [1n, 1n],
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1_000n],
  k: [1_000n, 1n],
  M: [1_000_000n, 1n],
  G: [1_000_000_000n, 1n],
  Ki: [1n << 10n, 1n],
  Mi: [1n << 20n, 1n],
  Gi: [1n << 30n, 1n],
};

/** What {@link parseQuantity} reads, for schemas. The exponent has at most two digits, so that no text makes an enormous number. */
export const QUANTITY_PATTERN = '^[+]?[0-9]{1,15}([.][0-9]{0,9})?(n|u|m|k|M|G|Ki|Mi|Gi|[eE][-+]?[0-9]{1,2})?$';

/** A non-negative Kubernetes quantity as an exact fraction. */
export interface Quantity {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** Reads a Kubernetes quantity (`1`, `"500m"`, `1e3`, `1.5`); undefined for anything else, negative numbers included. */
export function parseQuantity(value: number | string): Quantity | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (!new RegExp(QUANTITY_PATTERN).test(text)) return undefined;
  const [, whole = '', fraction = '', suffix = ''] = /^[+]?([0-9]+)(?:[.]([0-9]*))?(.*)$/.exec(text) ?? [];
  const digits = BigInt(whole + fraction);
  const scale = 10n ** BigInt(fraction.length);
  const [up, down] = SUFFIX[suffix] ?? power(Number(suffix.slice(1)));
  return reduced(digits * up, scale * down);
}

/**
 * The smallest whole numbers in the same proportion as the quantities (all whole already: unchanged), so one fraction scales the whole object.
 */
export function wholeNumbers(quantities: readonly Quantity[]): readonly bigint[] {
  const scale = quantities.reduce(
    (multiple, { denominator }) => (multiple / gcd(multiple, denominator)) * denominator,
    1n,
  );
  return quantities.map(({ numerator, denominator }) => (numerator * scale) / denominator);
}

export function gcd(left: bigint, right: bigint): bigint {
  let [a, b] = [left, right];
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function power(exponent: number): readonly [bigint, bigint] {
  return exponent >= 0 ? [10n ** BigInt(exponent), 1n] : [1n, 10n ** BigInt(-exponent)];
}

function reduced(numerator: bigint, denominator: bigint): Quantity {
  const divisor = gcd(numerator, denominator);
  return divisor === 0n
    ? { numerator: 0n, denominator: 1n }
    : { numerator: numerator / divisor, denominator: denominator / divisor };
}
