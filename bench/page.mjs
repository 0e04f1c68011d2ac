// The benchmark page: every engine opened in one page, then run in turn, A B C A B C ..., so that
// what the machine does meanwhile happens to all of them. Driven by run.mjs through `bench` and `peak`.
import { wasmBytes } from './memory.mjs';
import * as onnxruntime from './engines/onnxruntime.mjs';
import * as tareas from './engines/tareas.mjs';
import * as transformersjs from './engines/transformersjs.mjs';
import { MODELS } from './models.mjs';

const engines = { tareas, 'onnxruntime-web': onnxruntime, 'transformers.js': transformersjs };

function opener(model, name) {
  const spec = MODELS[model].cases[name];
  const input = spec.input(`/models/${model}`);
  return async (row) => {
    const open = spec.open?.[row.engine] ?? engines[row.engine].open;
    return open({ ...row, model, task: spec.task, graph: spec.graph }, await input);
  };
}

/** Opens every row of a case, runs them `rounds` times in turn, and resolves rows with all their times. */
globalThis.bench = async ({ model, name, rows, warmup, rounds, budgetMs }) => {
  const open = opener(model, name);
  const opened = [];
  for (const row of rows) {
    const start = performance.now();
    const one = { ...row, times: [] };
    opened.push(one);
    try {
      one.run = await open(row);
      one.load_ms = performance.now() - start;
      for (let i = 0; i < warmup; i++) await one.run();
    } catch (error) {
      delete one.run;
      one.error = String(error?.message ?? error);
    }
  }
  const alive = opened.filter((one) => one.run);
  const deadline = performance.now() + budgetMs;
  for (let i = 0; i < rounds && (i < 3 || performance.now() < deadline); i++) {
    for (const one of alive) {
      const start = performance.now();
      const own = await one.run();
      one.times.push(own?.ms ?? performance.now() - start);
    }
  }
  for (const one of alive) one.ops = await one.run.timings?.();
  return opened.map(({ run, ...row }) => row);
};

/** The largest size of the wasm memories after a load and a run of one row, alone in its page. */
globalThis.peak = async ({ model, name, row }) => {
  const run = await opener(model, name)(row);
  await run();
  return wasmBytes();
};
globalThis.ready = true;
