/** A page that holds pipelines by name, and the way to call them from a test; for any browser's driver. */
import assert from 'node:assert/strict';
import { call, compare, golden } from './goldens.mjs';

/** The page keeps its pipelines by name; results cross to the test as JSON. */
export const PAGE = `
import * as tareas from '/node_modules/tareas/index.js';
const { env, pipeline, Tensor } = tareas;
env.remoteHost = location.origin + '/';
env.retryDelay = 10;
const pipes = new Map();
const plain = (value) => (value instanceof Tensor ? value.tolist() : value);
/** Errors cross as what a caller would look at. */
const caught = async (action) => {
  try {
    return { value: await action() };
  } catch ({ name, code, message, remedy }) {
    return { error: { name, code, message, remedy } };
  }
};
Object.assign(globalThis, {
  tareas,
  env,
  pipes,
  load: (name, task, model, options = {}) =>
    caught(async () => {
      const events = [];
      const pipe = await pipeline(task, model, { ...options, progress_callback: (event) => events.push(event) });
      pipes.set(name, { pipe, events });
      return { info: pipe.info(), events };
    }),
  call: (name, ...args) => caught(async () => plain(await pipes.get(name).pipe(...args))),
  drop: async (name) => {
    await pipes.get(name)?.pipe.dispose();
    pipes.delete(name);
  },
  ready: true,
});
`;

const TOLERANCE = 1e-3;

/** What came back, which must be no error. */
export const good = ({ value, error }) => (assert.equal(error, undefined, error?.message), value);

/** Calls a page made of `PAGE`; `page` is Playwright's or Puppeteer's. */
export function caller(page) {
  const load = (...args) => page.evaluate((given) => globalThis.load(...given), args);
  const run = (...args) => page.evaluate((given) => globalThis.call(...given), args);
  const drop = (name) => page.evaluate((given) => globalThis.drop(given), name);
  const use = (build) => page.evaluate((given) => (globalThis.env.wasmBuild = given), build);

  /** Every recorded call of a variant against Python's result. */
  async function goldens(variant, options) {
    const loaded = new Set();
    for (const entry of golden(variant).pipeline) {
      const ours = call(entry);
      if (!ours) continue;
      const { task } = entry;
      if (!loaded.has(task)) {
        const { info } = good(await load(task, task, `goldens/${variant}`, { dtype: 'fp32', ...options }));
        assert.equal(info.device, options.device, info.fallback);
        loaded.add(task);
      }
      const result = await run(task, ...ours.args);
      if (entry.error !== undefined) assert.match(result.error.code, /^(input|unsupported)$/);
      else compare(good(result), entry, ours.text, TOLERANCE);
    }
    for (const task of loaded) await drop(task);
  }
  return { load, run, drop, use, goldens };
}
