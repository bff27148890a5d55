// How each component is built.

/** A Go module of ours whose go.mod pins what is built. */
export interface GoRecipe {
  kind: 'go';
  /** Package path given to `go build`, inside the module or one of its `tool` dependencies. */
  package: string;
  /** `-X` settings; `${version}` stands for the required version of `versionOf`. */
  stamps: readonly string[];
  /** Module whose required version in go.mod is the component's version; absent for a program of our own. */
  versionOf?: string;
}

/** A single C file, linked statically. */
export interface CRecipe {
  kind: 'c';
  source: string;
}

export interface Recipe {
  /** Folder of the sources, relative to this one; default: the component's name. */
  folder?: string;
  build: GoRecipe | CRecipe;
  /** Further names for the binary, as symbolic links beside it. */
  links: readonly string[];
  /** Files of the versionOf module that are copied beside the binary: folder in the module, pattern of the file name. */
  assets?: { folder: string; pattern: RegExp };
}

export const componentNames = [
  'pause',
  'kubernetes',
  'coredns',
  'cert-manager',
  'podinfo',
  'helm',
  'testapp',
  'h2spec',
  'grpc-interop-client',
  'grpc-interop-server',
  'flagger',
  'flagger-loadtester',
  'hey',
] as const;
export type ComponentName = (typeof componentNames)[number];

const kubernetesStamps = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap(variables => [
  `${variables}.gitVersion=\${version}`,
  `${variables}.gitMajor=\${major}`,
  `${variables}.gitMinor=\${minor}`,
  `${variables}.gitTreeState=clean`,
]);

/** gRPC's own interoperability suite. */
const grpcInterop = (half: 'client' | 'server'): Recipe => ({
  folder: 'grpc-interop',
  build: {
    kind: 'go',
    package: `google.golang.org/grpc/interop/${half}`,
    versionOf: 'google.golang.org/grpc',
    stamps: [],
  },
  links: [],
});

/** Flagger, unmodified, and what it drives. */
const flagger = (program: 'flagger' | 'loadtester', assets?: Recipe['assets']): Recipe => ({
  folder: 'flagger',
  build: {
    kind: 'go',
    package: `github.com/fluxcd/flagger/cmd/${program}`,
    versionOf: 'github.com/fluxcd/flagger',
    stamps: [],
  },
  links: [],
  ...(assets === undefined ? {} : { assets }),
});

export const recipes: Readonly<Record<ComponentName, Recipe>> = {
  pause: { build: { kind: 'c', source: 'pause.c' }, links: [] },
  kubernetes: {
    build: { kind: 'go', package: '.', versionOf: 'k8s.io/kubernetes', stamps: kubernetesStamps },
    links: ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubelet', 'kubectl'],
  },
  coredns: {
    build: { kind: 'go', package: '.', versionOf: 'github.com/coredns/coredns', stamps: [] },
    links: [],
  },
  'cert-manager': {
    build: {
      kind: 'go',
      package: '.',
      versionOf: 'github.com/cert-manager/cert-manager',
      stamps: ['github.com/cert-manager/cert-manager/pkg/util.AppVersion=${version}'],
    },
    links: [],
    // ACME is not built in, so its kinds are not installed either.
    assets: { folder: 'deploy/crds', pattern: /^cert-manager\.io_.*\.yaml$/ },
  },
  podinfo: {
    build: {
      kind: 'go',
      package: 'github.com/stefanprodan/podinfo/cmd/podinfo',
      versionOf: 'github.com/stefanprodan/podinfo',
      stamps: [],
    },
    links: [],
  },
  helm: {
    build: {
      kind: 'go',
      package: 'helm.sh/helm/v3/cmd/helm',
      versionOf: 'helm.sh/helm/v3',
      stamps: ['helm.sh/helm/v3/internal/version.version=${version}'],
    },
    links: [],
  },
  testapp: {
    folder: '../../e2e/apps/testapp',
    build: { kind: 'go', package: '.', stamps: [] },
    links: [],
  },
  h2spec: {
    build: {
      kind: 'go',
      package: 'github.com/summerwind/h2spec/cmd/h2spec',
      versionOf: 'github.com/summerwind/h2spec',
      stamps: [],
    },
    links: [],
  },
  'grpc-interop-client': grpcInterop('client'),
  'grpc-interop-server': grpcInterop('server'),
  flagger: flagger('flagger', { folder: 'artifacts/flagger', pattern: /^(crd|account)\.yaml$/ }),
  'flagger-loadtester': flagger('loadtester'),
  // The load generator that Flagger's own examples have their load tester run.
  hey: {
    folder: 'flagger',
    build: { kind: 'go', package: 'github.com/rakyll/hey', versionOf: 'github.com/rakyll/hey', stamps: [] },
    links: [],
  },
};
