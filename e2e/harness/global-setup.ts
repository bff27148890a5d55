import { ensureImage } from '../../tools/image/index.ts';
import { install } from '../../tools/install.ts';
import { clusterDown, clusterUp, loadImage } from '../cluster/index.ts';
import { clusterName } from './node.ts';

/** The node, the images and Weft; the node goes away afterwards unless WEFT_E2E_KEEP is set. */
export async function setup(): Promise<() => Promise<void>> {
  await clusterUp(clusterName);
  for (const image of ['testapp', 'podinfo'] as const) await loadImage(clusterName, await ensureImage(image));
  await install(clusterName);
  return async () => {
    if (process.env['WEFT_E2E_KEEP'] === undefined) await clusterDown(clusterName);
  };
}
