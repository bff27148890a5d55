/**
 * The loopback address of this process alone, so that test files and other checkouts can run beside each other on the same port numbers. Those of the Rust tests
 * begin lower.
 */
export const address = `127.${128 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${1 + (process.pid & 127)}`;

let next = 20_000 + (process.pid & 128) * 40;

/** A port of that address that was not given out before; below the range that the kernel takes its own from. */
export function freePort(): number {
  next += 1;
  return next;
}
