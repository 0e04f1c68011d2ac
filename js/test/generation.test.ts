import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  disposeAll,
  generate,
  InterruptableStoppingCriteria,
  pipeline,
  TextStreamer,
  type Piece,
} from '../src/index.js';
import { fails, model, setup } from './helpers.js';

let end: () => Promise<void>;
before(async () => ({ end } = await setup({ 'owner/writes': model() })));
after(async () => {
  await disposeAll();
  await end();
});

const ALL = 'x b c b c b c b c';

for (const worker of [true, false]) {
  describe(worker ? 'in a worker' : 'in this thread', () => {
    const load = () => pipeline('text-generation', 'owner/writes', { worker, device: 'wasm', dtype: 'q8' });

    it('streams pieces that make up the text', async () => {
      const write = await load();
      const pieces: Piece[] = [];
      for await (const piece of write.stream('x', { max_new_tokens: 8 })) pieces.push(piece);
      assert.equal(pieces.map((piece) => piece.text).join(''), ALL.slice(1));
      assert.equal(pieces.at(-1)!.done, true);
      assert.deepEqual(pieces[0]!.token, { id: 1, text: ' b' });
      assert.deepEqual(await write('x'), [{ generated_text: ALL }]);
      await write.dispose();
    });

    it('stops when the reader leaves, and serves the next', async () => {
      const write = await load();
      let seen = 0;
      for await (const _ of write.stream('x')) if (++seen === 2) break;
      const [again] = await write('x');
      assert.equal(again!.generated_text, ALL);
      const control = new AbortController();
      const read = async () => {
        for await (const _ of write.stream('x', { signal: control.signal })) control.abort();
      };
      await fails(read(), 'aborted');
      await write.dispose();
    });

    it('two streams at once come one after the other', async () => {
      const write = await load();
      const read = async () => {
        let text = 'x';
        for await (const piece of write.stream('x')) text += piece.text;
        return text;
      };
      assert.deepEqual(await Promise.all([read(), read()]), [ALL, ALL]);
      await write.dispose();
    });

    it('a stream ends with an error when its pipeline is disposed', async () => {
      const write = await load();
      const read = async () => {
        for await (const _ of write.stream('x')) void write.dispose();
      };
      await fails(read(), 'disposed');
    });

    it('asks the callbacks', async () => {
      const write = await load();
      const rows: number[][] = [];
      const [{ generated_text }] = (await write('x', {
        logits_processor: (ids, scores) => {
          rows.push([...ids[0]!]);
          scores[0] = 9;
        },
        stopping_criteria: (ids) => ids[0]!.length >= 4,
      })) as [{ generated_text: string }];
      assert.equal(generated_text, 'x a a a');
      assert.deepEqual(rows, [[9], [9, 0], [9, 0, 0]]);
      const interrupt = new InterruptableStoppingCriteria();
      let text = 'x';
      for await (const piece of write.stream('x', { stopping_criteria: interrupt })) {
        text += piece.text;
        interrupt.interrupt();
      }
      assert.ok(text.length < ALL.length, text);
      await fails(
        write('x', {
          logits_processor: () => {
            throw new Error('mine');
          },
        }),
        'internal',
        /mine/,
      );
      assert.deepEqual(await write('x'), [{ generated_text: ALL }]);
      await write.dispose();
    });

    it("has transformers.js's TextStreamer", async () => {
      const write = await load();
      const texts: string[] = [];
      const tokens: bigint[] = [];
      const streamer = new TextStreamer(null, {
        callback_function: (text) => texts.push(text),
        token_callback_function: (ids) => tokens.push(...ids),
      });
      const [result] = await write('x', { streamer });
      assert.equal(texts.join(''), ALL);
      assert.equal(result!.generated_text, ALL);
      assert.deepEqual(tokens.slice(0, 2), [1n, 2n]);
      await fails(write('x', { streamer, num_beams: 3 }), 'input', /one text at a time/);
      await write.dispose();
    });
  });
}

describe('generation', () => {
  it('refuses what it does not know', async () => {
    const write = await pipeline('text-generation', 'owner/writes', { worker: false });
    await fails(write('x', { max_token: 3 } as object), 'input', /max_new_tokens|max_token/);
    await fails(write('x', { logits_processor: 5 as never }), 'input', /logits_processor/);
    await fails(write(5 as never), 'input');
    await write.dispose();
  });

  it('reads the languages off the task', async () => {
    const translate = await pipeline('translation_en_to_fr', 'owner/writes', { worker: false });
    assert.equal(translate.task, 'translation');
    const echo = (await translate('x')) as unknown as { options: object };
    assert.deepEqual(echo.options, { src_lang: 'en', tgt_lang: 'fr' });
    await translate.dispose();
  });

  it('has a plain function', async () => {
    assert.deepEqual(await generate('x', { model: 'owner/writes', worker: false }), [
      { generated_text: ALL },
    ]);
  });
});
