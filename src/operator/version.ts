import manifest from '../../package.json' with { type: 'json' };

/** Version of the operator; the images carry the same. */
export const VERSION: string = manifest.version;
