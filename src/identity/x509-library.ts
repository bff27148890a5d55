// The one door to @peculiar/x509, which needs the reflect polyfill to be there before it is loaded.
import 'reflect-metadata';

export * from '@peculiar/x509';
