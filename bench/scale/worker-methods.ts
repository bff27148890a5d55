// What the rig asks of its processes of proxies. All times are of the machine's monotonic clock.

export interface ProxySpec {
  readonly token: string;
  readonly names: readonly string[];
}

export interface Receipts {
  readonly receivedMs: readonly number[];
  /** The last message itself, base64. */
  readonly message: string;
}

export interface Counts {
  readonly messages: number;
  readonly bytes: number;
  /** Messages for a resource that the proxy never asked for. */
  readonly strangers: number;
}

export interface WorkerMethods {
  /** Connects proxies, so many at once; resolves when they hold everything that they asked for. */
  add(params: {
    readonly fleet: string;
    readonly port: number;
    readonly rootPem: string;
    readonly proxies: readonly ProxySpec[];
    readonly atOnce: number;
  }): Promise<{ readonly served: number }>;
  /** From now on receipts of this resource are noted. */
  arm(params: { readonly fleet: string; readonly name: string }): Promise<void>;
  received(params: { readonly expected: number; readonly timeoutMs: number }): Promise<Receipts>;
  /** Waits until every proxy has a stream that was accepted since. */
  served(params: {
    readonly fleet: string;
    readonly sinceMs: number;
    readonly timeoutMs: number;
  }): Promise<{ readonly acceptedMs: readonly number[]; readonly losses: number }>;
  /** Starts to note, or answers with [write, time] pairs, flat, and ends. */
  churn(params: { readonly on: boolean }): Promise<readonly number[]>;
  counts(params: object): Promise<Counts>;
  certify(params: {
    readonly fleet: string;
    readonly tokens: readonly string[];
    readonly atOnce: number;
  }): Promise<{ readonly tookMs: readonly number[]; readonly refused: number }>;
  close(params: { readonly fleet: string }): Promise<void>;
}

export interface Ask {
  readonly id: number;
  readonly method: keyof WorkerMethods;
  readonly params: unknown;
}
