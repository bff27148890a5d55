// During the churn each write puts its own number into an address, so that whoever receives the change knows which write it is of. Pure.

const PREFIX = Buffer.from('10.251.');

export const MAX_MARKER = 65_535;

export function addressOf(write: number): string {
  return `${PREFIX.toString()}${write >> 8}.${write & 255}`;
}

/** The newest write whose address stands in the message. */
export function markerOf(message: Buffer): number | undefined {
  let newest: number | undefined;
  for (let at = message.indexOf(PREFIX); at >= 0; at = message.indexOf(PREFIX, at + 1)) {
    const [, high, low] = /^10\.251\.(\d{1,3})\.(\d{1,3})/.exec(message.toString('latin1', at, at + 15)) ?? [];
    const write = Number(high) * 256 + Number(low);
    if (!Number.isNaN(write) && (newest === undefined || write > newest)) newest = write;
  }
  return newest;
}
