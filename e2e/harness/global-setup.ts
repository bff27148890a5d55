import { ensureImage } from '../../tools/image/index.ts';
import { install } from '../../tools/install.ts';
import { clusterDown, clusterUp, loadImage } from '../cluster/index.ts';
import { clusterName } from './node.ts';

/** Name of the node that is ready, handed from one group to the next within a run. */
const READY = 'WEFT_E2E_READY';

/** The node, the images and Weft; the node goes away afterwards unless WEFT_E2E_KEEP is set. Both groups of cases share what the first of them set up. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env[READY] === clusterName) return undefined;
  await clusterUp(clusterName);
  for (const image of ['testapp', 'podinfo'] as const) await loadImage(clusterName, await ensureImage(image));
  await install(clusterName, { helmArgs: ['--set=canary.enabled=true'] });
  process.env[READY] = clusterName;
  return async () => {
    if (process.env['WEFT_E2E_KEEP'] === undefined) await clusterDown(clusterName);
  };
}
