import { type Cidr, cidrCovers, formatCidr, parseCidr } from '../../kernel/index.ts';
import type { Network } from '../../model/index.ts';
import type { Report } from './report.ts';

interface RawNetwork {
  readonly cidr: string;
  readonly except?: readonly string[];
}

/** Reads address ranges, written alone or with exceptions; each that is wrong is reported, and only sound ones come back. */
export function parseNetworks(
  report: Report,
  path: string,
  networks: readonly (RawNetwork | string)[],
): readonly Network[] {
  return networks.flatMap((network, index) => {
    const parsed = parseNetwork(report, `${path}[${index}]`, network);
    return parsed === undefined ? [] : [parsed];
  });
}

function parseNetwork(report: Report, path: string, network: RawNetwork | string): Network | undefined {
  const { cidr: text, except: holes = [] } = typeof network === 'string' ? { cidr: network } : network;
  const where = typeof network === 'string' ? path : `${path}.cidr`;
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    report.error(where, 'InvalidNetwork', `${where} "${text}" is no address range; write it like 10.0.0.0/8.`);
    return undefined;
  }
  const except: string[] = [];
  for (const [index, hole] of holes.entries()) {
    const parsed = parseCidr(hole);
    const fault = holeFault(cidr, parsed);
    if (parsed === undefined || fault !== undefined) {
      const field = `${path}.except[${index}]`;
      report.error(field, 'InvalidNetwork', `${field} "${hole}" ${fault ?? ''}.`);
      return undefined;
    }
    except.push(formatCidr(parsed));
  }
  return { cidr: formatCidr(cidr), except };
}

function holeFault(cidr: Cidr, hole: Cidr | undefined): string | undefined {
  if (hole === undefined) return 'is no address range; write it like 10.1.0.0/16';
  if (cidrCovers(hole, cidr)) return `leaves nothing of ${formatCidr(cidr)}; remove the network instead`;
  if (!cidrCovers(cidr, hole)) return `does not lie within ${formatCidr(cidr)}; an exception must`;
  return undefined;
}
