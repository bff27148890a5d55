import { type Result, err, ok } from './result.ts';

/** Both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Reads `25,587,5000-5010`; spaces and empty elements are ignored. The error names the element that is wrong. */
export function parsePortList(text: string): Result<readonly PortRange[], string> {
  const ranges: PortRange[] = [];
  for (const element of text.split(',').map(part => part.trim())) {
    if (element === '') continue;
    const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(element);
    const from = Number(match?.[1]);
    const to = match?.[2] === undefined ? from : Number(match[2]);
    if (match === null || from < 1 || to > 65_535 || from > to)
      return err(`"${element}" is neither a port nor a range of ports`);
    ranges.push({ from, to });
  }
  return ok(ranges);
}

export function portListHas(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(range => range.from <= port && port <= range.to);
}
