// Which image the proxy of a pod should have: what its MeshConfig says, else what the operator injects.
import { isRecord } from '../../kube/raw-object.ts';
import { CliError, EXIT } from '../exit-code.ts';
import type { ClusterApi } from '../session.ts';

const DEPLOYMENT = '/apis/apps/v1/namespaces/weft-system/deployments/weft-operator';
const VARIABLE = 'WEFT_PROXY_IMAGE';

/** By name of the mesh; what has been asked for once is remembered. */
export function imageOfMesh(cluster: ClusterApi): (mesh: string) => Promise<string> {
  const known = new Map<string, Promise<string>>();
  let ofOperator: Promise<string> | undefined;
  const find = async (mesh: string): Promise<string> => {
    const config = await cluster.get(`/apis/weft.dev/v1alpha1/meshconfigs/${encodeURIComponent(mesh)}`);
    const own = at(config, 'spec', 'proxy', 'image');
    if (typeof own === 'string' && own !== '') return own;
    ofOperator ??= operatorsImage(cluster);
    return await ofOperator;
  };
  return mesh => {
    const image = known.get(mesh) ?? find(mesh);
    known.set(mesh, image);
    return image;
  };
}

async function operatorsImage(cluster: ClusterApi): Promise<string> {
  const containers = at(await cluster.get(DEPLOYMENT), 'spec', 'template', 'spec', 'containers');
  const variables = (Array.isArray(containers) ? containers : []).flatMap((container): unknown[] => {
    const env = at(container, 'env');
    return Array.isArray(env) ? env : [];
  });
  const image = at(
    variables.find(variable => at(variable, 'name') === VARIABLE),
    'value',
  );
  if (typeof image === 'string' && image !== '') return image;
  throw new CliError(
    EXIT.failed,
    `the Deployment weft-operator does not say which proxy image it injects (${VARIABLE})`,
    'name the image with --image',
  );
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, field) => (isRecord(found) ? found[field] : undefined), value);
}
