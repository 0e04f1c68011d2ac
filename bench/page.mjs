// The benchmark page: every engine opened in one page, then run in turn, A B C A B C ..., so that
// what the machine does meanwhile happens to all of them. Driven by run.mjs through `bench`.
import * as onnxruntime from './engines/onnxruntime.mjs';
import * as tareas from './engines/tareas.mjs';
import * as transformersjs from './engines/transformersjs.mjs';

const engines = { tareas, 'onnxruntime-web': onnxruntime, 'transformers.js': transformersjs };

/** A text of exactly `length` tokens, and its ids: [CLS] word word ... [SEP]. */
async function sample(model, length) {
  const { model: wordpiece } = await (await fetch(`/models/${model}/tokenizer.json`)).json();
  const [word, id] = Object.entries(wordpiece.vocab).find(([token]) => /^[a-z]{4,}$/.test(token));
  const ids = Array(length).fill(id);
  ids[0] = wordpiece.vocab['[CLS]'];
  ids[length - 1] = wordpiece.vocab['[SEP]'];
  return { text: Array(length - 2).fill(word).join(' '), ids };
}

/** Opens every case, runs them `rounds` times in turn, and resolves rows with all their times. */
globalThis.bench = async ({ model, cases, length, warmup, rounds, budgetMs }) => {
  const input = await sample(model, length);
  const opened = [];
  for (const spec of cases) {
    const start = performance.now();
    try {
      const run = await engines[spec.engine].open({ ...spec, model }, input);
      opened.push({ ...spec, run, load_ms: performance.now() - start, times: [] });
    } catch (error) {
      opened.push({ ...spec, error: String(error?.message ?? error), times: [] });
    }
  }
  const alive = opened.filter((one) => one.run);
  for (let i = 0; i < warmup; i++) for (const one of alive) await one.run();
  const deadline = performance.now() + budgetMs;
  for (let i = 0; i < rounds && (i < 3 || performance.now() < deadline); i++) {
    for (const one of alive) {
      const start = performance.now();
      await one.run();
      one.times.push(performance.now() - start);
    }
  }
  return opened.map(({ run, ...row }) => ({ model, ...row }));
};
globalThis.ready = true;
