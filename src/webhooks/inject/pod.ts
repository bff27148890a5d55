// The part of a pod (core/v1) that injection reads. Fields come from the API server as JSON: any of them may be absent or null.
type Maybe<T> = T | null | undefined;

export interface PodObject {
  readonly metadata?: Maybe<{
    readonly name?: Maybe<string>;
    readonly generateName?: Maybe<string>;
    readonly namespace?: Maybe<string>;
    readonly labels?: Maybe<Readonly<Record<string, string>>>;
    readonly annotations?: Maybe<Readonly<Record<string, string>>>;
  }>;
  readonly spec?: Maybe<PodSpec>;
}

export interface PodSpec {
  readonly hostNetwork?: Maybe<boolean>;
  readonly os?: Maybe<{ readonly name?: Maybe<string> }>;
  readonly containers?: Maybe<readonly Container[]>;
  readonly initContainers?: Maybe<readonly Container[]>;
  readonly volumes?: Maybe<readonly { readonly name?: Maybe<string> }[]>;
  readonly securityContext?: Maybe<{ readonly runAsUser?: Maybe<number> }>;
}

export interface Container {
  readonly name?: Maybe<string>;
  readonly restartPolicy?: Maybe<string>;
  readonly ports?: Maybe<readonly { readonly name?: Maybe<string>; readonly containerPort?: Maybe<number> }[]>;
  readonly securityContext?: Maybe<{ readonly runAsUser?: Maybe<number> }>;
  readonly livenessProbe?: Maybe<Probe>;
  readonly readinessProbe?: Maybe<Probe>;
  readonly startupProbe?: Maybe<Probe>;
}

export interface Probe {
  readonly tcpSocket?: Maybe<{ readonly port?: Maybe<number | string>; readonly host?: Maybe<string> }>;
  readonly [field: string]: unknown;
}

export type StringMap = Readonly<Record<string, string>>;

export function allContainers(pod: PodObject): readonly Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
}
