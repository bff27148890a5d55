// The tar format as far as images need it: POSIX.1-1988 ustar headers, with GNU long names where ustar's do not fit.

const blockSize = 512;

export interface TarEntry {
  /** Path without a leading slash; directories end with a slash. */
  path: string;
  type: 'file' | 'directory' | 'symlink';
  mode: number;
  /** Bytes of content that follow; 0 unless a file. */
  size: number;
  /** Target of a symbolic link. */
  target?: string;
}

const typeFlags = { file: '0', symlink: '2', directory: '5', longName: 'L', longTarget: 'K' } as const;

/** Everything that stands before the content of an entry. Times are 0 and owners root, so equal input gives equal bytes. */
export function tarHeader(entry: TarEntry): Buffer {
  const blocks: Buffer[] = [];
  if (Buffer.byteLength(entry.path) > 100) blocks.push(longRecord(typeFlags.longName, entry.path));
  const target = entry.target ?? '';
  if (Buffer.byteLength(target) > 100) blocks.push(longRecord(typeFlags.longTarget, target));
  blocks.push(header({ ...entry, flag: typeFlags[entry.type], target }));
  return Buffer.concat(blocks);
}

/** Zero bytes that fill the last block of a content of `size` bytes. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
}

/** The end of an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * blockSize);
}

// A GNU record carries the long value as content of an entry of its own before the real header.
function longRecord(flag: string, value: string): Buffer {
  const content = Buffer.from(`${value}\0`);
  return Buffer.concat([
    header({ path: '././@LongLink', flag, mode: 0, size: content.length, target: '' }),
    content,
    tarPadding(content.length),
  ]);
}

interface HeaderFields {
  path: string;
  flag: string;
  mode: number;
  size: number;
  target: string;
}

function header({ path, flag, mode, size, target }: HeaderFields): Buffer {
  const block = Buffer.alloc(blockSize);
  truncated(path).copy(block, 0);
  block.write(octal(mode, 7), 100, 'latin1');
  block.write(octal(0, 7), 108, 'latin1');
  block.write(octal(0, 7), 116, 'latin1');
  block.write(octal(size, 11), 124, 'latin1');
  block.write(octal(0, 11), 136, 'latin1');
  block.write('        ', 148, 'latin1');
  block.write(flag, 156, 'latin1');
  truncated(target).copy(block, 157);
  block.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return block;
}

function truncated(value: string): Buffer {
  return Buffer.from(value).subarray(0, 100);
}

function octal(value: number, digits: number): string {
  const text = value.toString(8).padStart(digits, '0');
  if (text.length > digits) throw new RangeError(`${value} does not fit into ${digits} octal digits of a tar header`);
  return text;
}
