import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';

export interface KubeconfigOptions {
  /** Folder of the certificates. */
  certificates: string;
  /** Which certificate: name of its files without the ending. */
  client: string;
  server: string;
  output: string;
}

/** Writes a kubeconfig with everything embedded, so that it can be copied. */
export async function writeKubeconfig({ certificates, client, server, output }: KubeconfigOptions): Promise<void> {
  const embed = async (file: string) => (await readFile(join(certificates, file))).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'weft',
    clusters: [{ name: 'weft', cluster: { server, 'certificate-authority-data': await embed('ca.crt') } }],
    users: [
      {
        name: client,
        user: {
          'client-certificate-data': await embed(`${client}.crt`),
          'client-key-data': await embed(`${client}.key`),
        },
      },
    ],
    contexts: [{ name: 'weft', context: { cluster: 'weft', user: client } }],
  };
  await mkdir(dirname(output), { recursive: true });
  await writeFile(output, stringify(config), { mode: 0o600 });
}
