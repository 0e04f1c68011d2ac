/**
 * wasm-bindgen's glue is a module with one instance of the engine in its top-level variables.
 * Wrapped in a function it makes an instance, with a memory of its own, for every pipeline: that
 * memory goes when the pipeline goes, also outside a worker. The default path of the wasm is cut
 * out, because bundlers would follow it to a file that is not there.
 */
export function wrapGlue(source, where) {
  const names = [];
  let code = source
    .replace(/^export (class|function|async function) (\w+)/gm, (_, kind, name) => {
      names.push(name);
      return `${kind} ${name}`;
    })
    .replace(/^export \{([^}]*)\};?$/gm, (_, list) => {
      for (const item of list.split(',')) {
        const [name, as = name] = item.trim().split(/\s+as\s+/);
        if (name) names.push(as === name ? name : `${as}: ${name}`);
      }
      return '';
    })
    .replace(/^export default (\w+);?$/gm, (_, name) => {
      names.push(`default: ${name}`);
      return '';
    })
    .replace(/new URL\('[^']*_bg\.wasm', import\.meta\.url\)/g, 'undefined');
  if (/^export /m.test(code) || /^import /m.test(code) || code.includes('import.meta')) {
    throw new Error(`${where}: this glue cannot be wrapped; its form has changed`);
  }
  return `export default function glue() {\n${code}\nreturn { ${names.join(', ')} };\n}\n`;
}
