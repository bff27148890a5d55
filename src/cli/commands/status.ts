import type { MeshStatus, NamespaceStatus, ProxiesAnswer, ProxyCounts, StatusAnswer } from '../../contract/index.ts';
import { CliError, EXIT, type ExitCode } from '../exit-code.ts';
import { ask, printMissing, type Session } from '../session.ts';
import { json, paint, table, type Terminal } from '../terminal.ts';

export interface StatusOptions {
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly format: 'table' | 'json';
}

/** Meshes and namespaces; with a namespace, its proxies as well. */
export async function runStatus(
  session: Session,
  terminal: Terminal,
  { namespace, format }: StatusOptions,
): Promise<ExitCode> {
  const query = namespace === undefined ? '' : `?namespace=${encodeURIComponent(namespace)}`;
  const status = await ask<StatusAnswer>(session, `/v1/status${query}`);
  if (status === undefined) throw new CliError(EXIT.failed, 'the operator does not know /v1/status', OTHER_VERSION);
  const listed = namespace === undefined ? undefined : await ask<ProxiesAnswer>(session, `/v1/proxies${query}`);
  const proxies = listed?.proxies ?? [];
  printMissing(terminal, status.missing);
  if (format === 'json') {
    terminal.out(json(namespace === undefined ? status : { ...status, proxies }));
    return EXIT.ok;
  }
  terminal.out(
    table(['MESH', 'TRUST DOMAIN', 'ISSUER', 'ISSUER ENDS', ...COUNTS], status.meshes.map(meshRow), NUMBERS),
  );
  if (status.namespaces.length > 0) {
    terminal.out('\n');
    terminal.out(table(['NAMESPACE', 'MESH', 'MESHED', ...COUNTS], status.namespaces.map(namespaceRow), NUMBERS));
  } else {
    terminal.out(
      `\nno pod with a proxy ${namespace === undefined ? 'in this cluster' : `in namespace ${namespace}`}\n`,
    );
  }
  if (proxies.length > 0) {
    const rows = proxies.map(({ pod, node, version, state, resources }) => [
      pod,
      node,
      version,
      state,
      `${resources.current}/${resources.total}`,
    ]);
    terminal.out(`\n${table(['POD', 'NODE', 'VERSION', 'STATE', 'RESOURCES'], rows, new Set(['RESOURCES']))}`);
  }
  const { total, pods } = status.unmeshed;
  if (total > 0) {
    const names = pods.slice(0, NAMED).map(({ namespace: where, pod }) => `${where}/${pod}`);
    const more = total > names.length ? ` and ${total - names.length} more` : '';
    const word = paint(terminal, 'careful', 'warning');
    terminal.out(`\n${word} without a proxy, though they should have one: ${names.join(', ')}${more}\n`);
    terminal.out('  restart them: kubectl rollout restart\n');
  }
  if (status.problems.length > 0) terminal.out('\n');
  for (const { object, path, severity, message } of status.problems) {
    const word = paint(terminal, severity === 'error' ? 'bad' : 'careful', severity);
    terminal.out(`${word} ${object}${path === '' ? '' : ` ${path}`}: ${message}\n`);
  }
  return EXIT.ok;
}

/** Pods without a proxy that are shown. */
const NAMED = 10;
const OTHER_VERSION = 'use the CLI of the version that the operator has: weft version';
const COUNTS = ['PROXIES', 'CURRENT', 'SILENT', 'REFUSING'];
const NUMBERS = new Set([...COUNTS, 'MESHED']);

function meshRow({ name, trustDomain, issuer, proxies }: MeshStatus): string[] {
  return [name, trustDomain || '-', issuer?.generation ?? 'none', issuer?.notAfter ?? '-', ...countCells(proxies)];
}

function namespaceRow({ namespace, mesh, pods, proxies }: NamespaceStatus): string[] {
  return [namespace, mesh, `${pods.meshed}/${pods.total}`, ...countCells(proxies)];
}

function countCells({ connected, current, silent, refusing }: ProxyCounts): string[] {
  return [connected, current, silent, refusing].map(String);
}
