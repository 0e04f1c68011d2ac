// Models that write: an encoder, a prompt, one step, and whole texts. See models.mjs.
import * as tareas from './engines/tareas.mjs';

/** Tokens of keys and values that a step reads; tokens of a source. */
const PAST = 64;
const SOURCE = 512;

const greedy = { do_sample: false, num_beams: 1 };
/** So many tokens, however soon the model would end. */
const exactly = (count) => ({ min_new_tokens: count, max_new_tokens: count });

/** A text of exactly so many tokens, and its ids as onnxruntime's input. */
async function text(folder, length, options, feeds = {}) {
  const texts = await (await fetch(`${folder}/texts.json`)).json();
  const { text, ids } = texts[length];
  const input_ids = ['int64', BigInt64Array.from(ids, BigInt), [1, length]];
  return { args: [text, { ...greedy, ...options }], feeds: { input_ids, ...feeds } };
}

/** Keys and values of a sequence; what they hold does not change the time. */
function cache(prefix, layers, heads, length, size) {
  const feeds = {};
  for (let layer = 0; layer < layers; layer++) {
    for (const kind of ['key', 'value']) {
      const values = Float32Array.from({ length: heads * length * size }, (_, i) => Math.sin(i + layer));
      feeds[`${prefix}.${layer}.${kind}`] = ['float32', values, [1, heads, length, size]];
    }
  }
  return feeds;
}

/** One token after others, as onnxruntime is given it. */
const token = { input_ids: ['int64', BigInt64Array.of(20n), [1, 1]] };

// transformers.js wants both graphs in one file
const common = { peers: ['fp32', 'q8', 'q4'], transformersjs: false };

const decoder = (rounds, layers) => ({
  rounds,
  cases: {
    prefill: {
      ...common,
      task: 'text-generation',
      graph: 'decoder_model',
      input: (folder) => text(folder, PAST, exactly(1)),
    },
    // The keys of all but the last token are those of the call before: one step, from text to text.
    step: {
      ...common,
      task: 'text-generation',
      graph: 'decoder_with_past_model',
      input: (folder) =>
        text(folder, PAST + 1, { max_new_tokens: 1, reuse_cache: true }, {
          ...token,
          ...cache('past_key_values', layers, 12, PAST, 64),
        }),
    },
    '64 tokens': {
      ...common,
      task: 'text-generation',
      peers: [],
      input: (folder) => text(folder, 16, exactly(64)),
    },
  },
});

/** The time of one step of an encoder-decoder: what more of them take. */
async function step(row, { args: [source, options] }) {
  const call = await tareas.load(row);
  const spread = PAST / 2;
  const time = async (count) => {
    const start = performance.now();
    await call(source, { ...options, ...exactly(count) });
    return performance.now() - start;
  };
  return async () => {
    const less = await time(PAST - spread / 2);
    return { ms: ((await time(PAST + spread / 2)) - less) / spread };
  };
}

const seq2seq = (rounds, heads) => ({
  rounds,
  cases: {
    // with a first step: a text is read to be answered
    encoder: {
      ...common,
      task: 'text2text-generation',
      graph: 'encoder_model',
      input: (folder) => text(folder, SOURCE, { max_new_tokens: 1 }),
    },
    step: {
      ...common,
      task: 'text2text-generation',
      graph: 'decoder_with_past_model',
      open: { tareas: step },
      input: (folder) =>
        text(folder, SOURCE, {}, {
          ...token,
          ...cache('past_key_values.decoder', 6, heads, PAST, 64),
          ...cache('past_key_values.encoder', 6, heads, SOURCE, 64),
        }),
    },
    '32 tokens, 4 beams': {
      ...common,
      task: 'text2text-generation',
      peers: [],
      input: (folder) => text(folder, 128, { num_beams: 4, ...exactly(32) }),
    },
  },
});

export const WRITING = {
  gpt2: decoder(6, 12),
  distilgpt2: decoder(6, 6),
  'bart-base': seq2seq(4, 12),
  't5-small': seq2seq(6, 8),
};
