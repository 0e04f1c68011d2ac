/** Wraps wasm-bindgen's glue in a function (see glue.mjs). */
export function wrapGlue(source: string, where: string): string;
