// The part of Go's templates that queries of Flagger use: functions without arguments, and variables by name.
import { err, ok, type Result } from '../../kernel/index.ts';

export interface TemplateValues {
  readonly name: string;
  readonly namespace: string;
  readonly target: string;
  readonly service: string;
  readonly interval: string;
  readonly variables: Readonly<Record<string, string>>;
}

const ACTION = /\{\{-?\s*(.*?)\s*-?\}\}/gs;

/** `{{-` and `-}}` also take the white space beside them, which no query minds. */
export function expand(template: string, values: TemplateValues): Result<string, string> {
  const functions: Readonly<Record<string, string>> = {
    name: values.name,
    namespace: values.namespace,
    target: values.target,
    service: values.service,
    interval: values.interval,
    // Of other routers; Flagger's are empty for a mesh as well.
    ingress: '',
    route: '',
  };
  let fault: string | undefined;
  const text = template.replaceAll(ACTION, (_, action: string) => {
    const variable = /^\(?variables\)?\.([A-Za-z_][A-Za-z0-9_]*)$/.exec(action)?.[1];
    const found = variable === undefined ? functions[action] : values.variables[variable];
    if (found !== undefined) return found;
    fault ??=
      variable === undefined
        ? `{{ ${action} }} is none of ${Object.keys(functions).join(', ')} and variables.<name>`
        : `{{ ${action} }}: templateVariables has no "${variable}"`;
    return '';
  });
  return fault === undefined ? ok(text) : err(fault);
}

/** Why a query with these variables cannot be made, whatever Canary it is for. */
export function templateFault(template: string, variables: Readonly<Record<string, string>>): string | undefined {
  const expanded = expand(template, { name: '', namespace: '', target: '', service: '', interval: '', variables });
  return expanded.ok ? undefined : expanded.error;
}
