import type { GlueFactory } from '../engine.js';
/** The build makes this module from wasm-bindgen's glue (see build.mjs). */
declare const factory: GlueFactory;
export default factory;
