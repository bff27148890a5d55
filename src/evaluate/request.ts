/** The head of a request, as far as rules look at it. */
export interface RequestHead {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Without the question mark; undefined: there is none. */
  readonly query: string | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** Who opened the connection. */
export interface Client {
  readonly address: string;
  readonly tls: ClientTls;
}

export type ClientTls =
  | { readonly kind: 'none' }
  /** Mesh TLS without a certificate. */
  | { readonly kind: 'noIdentity' }
  | { readonly kind: 'identity'; readonly spiffe: string; readonly dns: string | undefined };
