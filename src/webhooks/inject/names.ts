// Names and numbers of what injection puts into a pod; the proxy's own defaults are the same.
export const PROXY_CONTAINER = 'weft-proxy';
export const INIT_CONTAINER = 'weft-init';
/** In place of the init container where the CNI plugin of the node writes the rules. */
export const VALIDATE_CONTAINER = 'weft-validate';
export const PROXY_UID = 2102;
/** Any user but root and the proxy's, whose connections are not redirected. */
export const VALIDATE_UID = 2103;
export const INBOUND_PORT = 4143;
export const OUTBOUND_PORT = 4140;
export const ADMIN_PORT = 4191;
export const TOKEN_VOLUME = 'weft-token';
export const TRUST_VOLUME = 'weft-trust';
export const TOKEN_DIRECTORY = '/var/run/secrets/weft';
export const TRUST_DIRECTORY = '/var/run/weft/trust';
export const TOKEN_AUDIENCE = 'weft.dev';
export const INJECTED_VERSION = 'weft.dev/injected-version';
