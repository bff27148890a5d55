// `node e2e/cluster/main.ts up|down|load|list`: the local node from the command line.

import process from 'node:process';
import { clusterDown, clusterUp, listClusters, loadImage } from './index.ts';

const usage = `usage: main.ts up NAME          bring a node up (does nothing if it is up)
       main.ts down NAME        remove it, whatever state it is in
       main.ts load NAME TAR    import a docker-archive tarball
       main.ts list             all clusters of this checkout
`;

async function main([command, name, file]: readonly string[]): Promise<number> {
  const report = (line: string) => process.stderr.write(`cluster ${name} ${line}\n`);
  if (command === 'list' && name === undefined) {
    for (const { name: found, kind, status, server } of await listClusters()) {
      process.stdout.write(`${found}\t${kind}\t${status}\t${server}\n`);
    }
  } else if (command === 'up' && name !== undefined) {
    await clusterUp(name, { report });
  } else if (command === 'down' && name !== undefined) {
    if (!(await clusterDown(name, report))) report('is not up');
  } else if (command === 'load' && name !== undefined && file !== undefined) {
    await loadImage(name, file);
  } else {
    process.stderr.write(usage);
    return 2;
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
