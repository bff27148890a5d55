// Container images without a container engine: docker-archive tarballs, byte for byte reproducible.
//
// Owns: the tar and image formats, the images of the components, the cache `~/.cache/weft/images`.
// May import: tools/components. Import an archive with `ctr images import` or `loadImage` of e2e/cluster.

export { buildImage, type ImageOptions } from './archive.ts';
export { ensureImage, type ImageName, imageTag } from './component-images.ts';
export { dynamicFiles } from './dynamic-files.ts';
export type { ImageFile } from './layer.ts';
