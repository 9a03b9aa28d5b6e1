// What needs no HTTP: descriptors import it, which must stay light.
export { doorOptions } from './door-options.js';
export { parseListenAddress } from './listen-address.js';
export { listenFailure } from './listen-failure.js';
export { listenOptions } from './listen-options.js';
export { refuseOnce } from './refuse-once.js';
export { readTlsFiles, type TlsSettings } from './tls-files.js';
