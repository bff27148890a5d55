import type { MeshStatus, NamespaceStatus, ProxiesAnswer, ProxyCounts, StatusAnswer } from '../../contract/index.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { askAll, type Session } from '../session.ts';
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
  const status = mergeStatus(await askAll<StatusAnswer>(session, `/v1/status${query}`));
  const answers = namespace === undefined ? [] : await askAll<ProxiesAnswer>(session, `/v1/proxies${query}`);
  const proxies = answers.flatMap(answer => answer.proxies);
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
  if (status.problems.length > 0) terminal.out('\n');
  for (const { object, path, severity, message } of status.problems) {
    const word = paint(terminal, severity === 'error' ? 'bad' : 'careful', severity);
    terminal.out(`${word} ${object}${path === '' ? '' : ` ${path}`}: ${message}\n`);
  }
  return EXIT.ok;
}

const COUNTS = ['PROXIES', 'CURRENT', 'SILENT', 'REFUSING'];
const NUMBERS = new Set([...COUNTS, 'MESHED']);

/** Each replica counts the proxies that are connected to it; everything else they all know. */
function mergeStatus(answers: readonly StatusAnswer[]): Pick<StatusAnswer, 'meshes' | 'namespaces' | 'problems'> {
  const [first] = answers;
  const merge = <T extends { proxies: ProxyCounts }>(
    lists: readonly (readonly T[])[],
    nameOf: (item: T) => string,
  ): T[] => {
    const groups = Map.groupBy(lists.flat(), nameOf);
    return [...groups.values()].flatMap(group =>
      group[0] === undefined ? [] : { ...group[0], proxies: add(group.map(item => item.proxies)) },
    );
  };
  return {
    meshes: merge<MeshStatus>(
      answers.map(answer => answer.meshes),
      mesh => mesh.name,
    ),
    namespaces: merge<NamespaceStatus>(
      answers.map(answer => answer.namespaces),
      item => item.namespace,
    ),
    problems: first?.problems ?? [],
  };
}

function add(counts: readonly ProxyCounts[]): ProxyCounts {
  const total = (pick: (item: ProxyCounts) => number) => counts.reduce((sum, item) => sum + pick(item), 0);
  return {
    connected: total(item => item.connected),
    current: total(item => item.current),
    silent: total(item => item.silent),
    refusing: total(item => item.refusing),
  };
}

function meshRow({ name, trustDomain, issuer, proxies }: MeshStatus): string[] {
  return [name, trustDomain || '-', issuer?.generation ?? 'none', issuer?.notAfter ?? '-', ...countCells(proxies)];
}

function namespaceRow({ namespace, mesh, pods, proxies }: NamespaceStatus): string[] {
  return [namespace, mesh, `${pods.meshed}/${pods.total}`, ...countCells(proxies)];
}

function countCells({ connected, current, silent, refusing }: ProxyCounts): string[] {
  return [connected, current, silent, refusing].map(String);
}
