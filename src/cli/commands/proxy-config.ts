import { stringify } from 'yaml';
import type { ProxyConfigAnswer, ProxyResource } from '../../contract/index.ts';
import { CliError, EXIT, type ExitCode } from '../exit-code.ts';
import { ask, printMissing, type Session } from '../session.ts';
import { json, paint, table, type Terminal } from '../terminal.ts';

export interface ProxyConfigOptions {
  readonly namespace: string;
  readonly pod: string;
  /** Name of one resource, to be shown whole. */
  readonly resource: string | undefined;
  readonly format: 'table' | 'json';
}

/** What a proxy holds, and whether that is what the operator means it to hold. */
export async function runProxyConfig(
  session: Session,
  terminal: Terminal,
  options: ProxyConfigOptions,
): Promise<ExitCode> {
  const { namespace, pod, resource, format } = options;
  const path = `/v1/proxies/${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}/config`;
  const answer = await ask<ProxyConfigAnswer>(session, path);
  if (answer === undefined) {
    const remedy = `is it in the mesh and running? kubectl -n ${namespace} get pod ${pod} --show-labels; weft status -n ${namespace}`;
    throw new CliError(EXIT.failed, `no proxy of pod ${namespace}/${pod} is connected to the operator`, remedy);
  }
  printMissing(terminal, answer.missing);
  if (resource !== undefined) printResource(terminal, answer, options);
  else if (format === 'json') terminal.out(json(answer));
  else printSummary(terminal, answer);
  return EXIT.ok;
}

function printResource(
  terminal: Terminal,
  { resources }: ProxyConfigAnswer,
  { resource, format }: ProxyConfigOptions,
): void {
  const found = resources.find(({ name }) => name === resource);
  if (found === undefined)
    throw new CliError(
      EXIT.failed,
      `the proxy does not hold ${resource}`,
      `it holds: ${resources.map(({ name }) => name).join(', ')}`,
    );
  terminal.out(format === 'json' ? json(found) : stringify(found));
}

function printSummary(terminal: Terminal, { proxy, resources }: ProxyConfigAnswer): void {
  terminal.out(
    `${proxy.namespace}/${proxy.pod}: ${proxy.state}, version ${proxy.version}, mesh ${proxy.mesh}, connected ${proxy.connectedAt} to ${proxy.replica}\n\n`,
  );
  terminal.out(table(['RESOURCE', 'STATE', 'VERSION', 'HELD', 'FROM'], resources.map(row)));
  for (const { name, refusal } of resources) {
    if (refusal !== '') terminal.out(`\n${paint(terminal, 'bad', 'refused')} ${name}: ${refusal}\n`);
  }
}

function row(resource: ProxyResource): string[] {
  const { name, version, ackedVersion, derivedFrom } = resource;
  const from = derivedFrom.map(
    ({ object, generation }) => `${object.split('/').slice(1).filter(Boolean).join('/')}@${generation}`,
  );
  return [name, stateOf(resource), version || '-', ackedVersion || '-', from.join(' ') || '-'];
}

function stateOf({ current, refusal, version }: ProxyResource): string {
  if (refusal !== '') return 'refused';
  if (version === '') return 'removed';
  return current ? 'current' : 'updating';
}
