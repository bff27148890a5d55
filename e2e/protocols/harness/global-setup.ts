import type { TestProject } from 'vitest/node';
import { ensureComponent } from '../../../tools/components/build.ts';
import { buildProxy } from '../../../tools/images.ts';

/** Builds what the tests run: nothing when all of it is built already. */
export async function setup(project: TestProject): Promise<void> {
  project.provide('proxyBinary', await buildProxy(process.env['WEFT_PROXY_PROFILE'] ?? 'release'));
  project.provide('testapp', await ensureComponent('testapp'));
  project.provide('h2spec', await ensureComponent('h2spec'));
  project.provide('interopClient', await ensureComponent('grpc-interop-client'));
  project.provide('interopServer', await ensureComponent('grpc-interop-server'));
}

declare module 'vitest' {
  interface ProvidedContext {
    proxyBinary: string;
    testapp: string;
    h2spec: string;
    interopClient: string;
    interopServer: string;
  }
}
