// A real Kubernetes node on this machine, for tests: no container engine, no registry, nothing of the host's network.
//
// Owns: `.cluster/NAME/` (state, certificates, logs, data), the namespaces and control groups of a cluster.
// May import: tools/components, tools/image. README.md says how to use it.

export { nodeAddress, outsideAddress, outsideHostName, podBridge } from './addresses.ts';
export { type ApiOnly, apiOnly } from './api-only.ts';
export { type Component, component } from './components.ts';
export { clusterDown, type Report } from './down.ts';
export { enterCommand, type ExecOptions, type ExecResult, nodeEnvironment, nodeExec, nodeRun } from './exec.ts';
export { listImages, loadImage, tagImage } from './images.ts';
export { type ClusterSummary, listClusters } from './list.ts';
export type { ProgramName } from './programs.ts';
export { clusterUp, type UpOptions } from './up.ts';

import { join } from 'node:path';
import { auditLogPath } from './api-only.ts';
import { clusterPaths } from './paths.ts';

/** The administrator's kubeconfig. For a node its server is reachable only from inside (`nodeExec`, `bin/node-exec`). */
export function kubeconfigPath(name: string): string {
  return clusterPaths(name).kubeconfig;
}

/** The key with which the API server signs the tokens of service accounts, PEM. */
export function tokenKeyPath(name: string): string {
  return join(clusterPaths(name).certificates, 'sa.key');
}

/** Where `apiOnly` with `audit` writes. */
export function auditLog(name: string): string {
  return auditLogPath(clusterPaths(name));
}

/** Folder of the logs, one file per program; kept after `clusterDown`. */
export function logFolder(name: string): string {
  return clusterPaths(name).log;
}

/** The node's folders of CNI plugins and of their configuration, as its container runtime has them. */
export function cniFolders(name: string): Readonly<Record<'programs' | 'configurations', string>> {
  return clusterPaths(name).cni;
}
