"""Goldens of the tasks that write text: tests/goldens/generation/VARIANT/, whole repositories with tokenizers.

    OMP_NUM_THREADS=1 python tools/goldens_writing.py [VARIANT ...]

Tokenizers are trained on a few sentences. `golden.json`:

    tokens    [{ text, ids, decoded, cleaned }]: with special tokens; decoded without them
    calls     [{ task, args, kwargs, result | error }]: pipeline(task, model)(*args, **kwargs)
    fills     [{ text, kwargs, result: [{ generated_text, span }] }]: BART's infilling, by model.generate

Every call is repeated with noise of 3e-4 of the logits' size; one whose text changes is too close to call and
is left out (its place is taken by the next prompt).
"""

import json
import pathlib
import re
import shutil
import sys
import tempfile

import sentencepiece
import torch
import transformers as tf
from tokenizers import ByteLevelBPETokenizer
from transformers import pipeline

from goldens_generation import seed_weights

ROOT = pathlib.Path(__file__).parent.parent / "tests/goldens"
OUT = ROOT / "generation"
NOISE = 3e-4
SPANISH = [
    "El perro duerme bajo la mesa.", "¿Dónde está la biblioteca, señor?", "¡Qué día tan bonito hace hoy!",
    "Los niños juegan en el parque con la pelota roja.", "Mañana iré al médico porque me duele la cabeza.",
    "La Habana, München, Zürich y São Paulo son ciudades.", "Él comió pan; ella bebió café.",
]
TEXTS = [
    "The dog sleeps under the table.", "Hello, world! It isn't 3.5 o'clock yet.", "  two  spaces and\ttabs\nlines ",
    "¿Dónde está la biblioteca, señor?", "naïve café 東京 👍🏽 e\u0301 ﬁne ½ Å", "", "I'm sure they've gone , said he .",
    "<extra_id_0> and <extra_id_1> or </s> and <mask> here", "x" * 40, "CamelCase_and-dashes/slashes 12345",
]
PROMPTS = [
    "The dog", "Hello, my name is", "¿Dónde está", "The children play in the", "One two three", "It isn't", "Tomorrow we",
    "La casa", "He said:", "A b c", "Once upon a time", "Why not",
]


def corpus():
    return (ROOT / "real/sentences.txt").read_text().splitlines() + SPANISH * 4


def byte_level(folder, specials, vocab):
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(corpus(), vocab_size=vocab, min_frequency=2, special_tokens=specials)
    tokenizer.save_model(str(folder))


def sentence_piece(folder, name, vocab, lines=None, rule="nmt_nfkc", **kwargs):
    with tempfile.TemporaryDirectory() as temporary:
        text = pathlib.Path(temporary) / "text"
        text.write_text("\n".join(lines or corpus()))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{temporary}/m", vocab_size=vocab, character_coverage=1.0, num_threads=1,
            minloglevel=2, normalization_rule_name=rule, **kwargs,
        )
        shutil.copy(f"{temporary}/m.model", folder / name)


def noisy(model, seed):
    generator = torch.Generator().manual_seed(seed)

    def add(_module, _args, out):
        logits = out.logits
        out.logits = logits + NOISE * logits.abs().max() * (2 * torch.rand(logits.shape, generator=generator) - 1)
        return out

    return model.register_forward_hook(add)


def record(folder, model, tokenizer, calls, texts=TEXTS, prompts=PROMPTS, fills=None):
    out, all_prompts = [], prompts
    for task, kwargs, count in calls:
        # mBART's keeps the languages of the last call.
        tokenizer = tf.AutoTokenizer.from_pretrained(folder)
        pipe = pipeline(task, model=model, tokenizer=tokenizer, device="cpu")
        # Every pipeline must start from the files' own settings.
        kept = 0
        prompts = list(all_prompts)
        while kept < count and prompts:
            prompt = prompts.pop(0)
            result = pipe(prompt, **kwargs)
            stable = True
            for seed in range(3):
                hook = noisy(model, seed)
                stable &= pipe(prompt, **kwargs) == result
                hook.remove()
            if stable:
                kept += 1
                out.append({"task": task, "args": [prompt], "kwargs": {k: v for k, v in kwargs.items() if k != "tokenizer"}, "result": result})
        assert kept == count, (folder, task, kwargs, kept)
    tokens, tokenizer = [], tf.AutoTokenizer.from_pretrained(folder)
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        tokens.append({
            "text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
            "cleaned": tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=True),
        })
    golden = {"tokens": tokens, "calls": out}
    if fills:
        golden["fills"] = fills
    (folder / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(folder.name, size // 1024, "KB")


# The page's call: the text with its mask, generate, decode. `span` is what stands between the mask's neighbours.
FILLS = ["UN Chief Says There Is No <mask> in Syria", "<mask>", "The <mask>", "<mask> sleeps.", "El perro <mask> la mesa."]


def infill(model, tokenizer):
    out = []
    for text in FILLS:
        for kwargs in ({"max_new_tokens": 16, "min_length": 0}, {"num_beams": 4, "num_return_sequences": 3, "max_new_tokens": 12}):
            def run():
                ids = tokenizer(text, return_tensors="pt")["input_ids"]
                texts = tokenizer.batch_decode(
                    model.generate(ids, **{"forced_bos_token_id": 0, **kwargs}), skip_special_tokens=True,
                    clean_up_tokenization_spaces=False,
                )
                left, right = (part.strip() for part in text.split("<mask>"))
                result = []
                for one in texts:
                    found = re.fullmatch(re.escape(left) + "(.*)" + re.escape(right), one.strip(), re.DOTALL)
                    result.append({"generated_text": one, "span": found and found[1].strip()})
                return result
            result, stable = run(), True
            for seed in range(3):
                hook = noisy(model, seed)
                stable &= run() == result
                hook.remove()
            if stable:
                out.append({"text": text, "kwargs": kwargs, "result": result})
    print(len(out), "fills", sum(one["span"] is not None for fill in out for one in fill["result"]), "with a span")
    assert len(out) >= 5
    return out


def fresh(name):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


GREEDY = {"do_sample": False, "max_new_tokens": 24}


def gpt2(name, seed, fast):
    """With vocab.json and merges.txt alone, or tokenizer.json too."""
    folder = fresh(name)
    byte_level(folder, ["<|endoftext|>"], 330)
    tokenizer = tf.GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    config = tf.GPT2Config(
        vocab_size=len(tokenizer), n_positions=96, n_embd=36, n_head=3, n_layer=2, bos_token_id=0, eos_token_id=0,
        task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}},
    )
    model = tf.GPT2LMHeadModel(config).eval()
    seed_weights(model, seed)
    model.save_pretrained(folder)
    if fast:
        tokenizer.save_pretrained(folder)
        for extra in ("vocab.json", "merges.txt"):
            (folder / extra).unlink(missing_ok=True)
    else:
        (folder / "generation_config.json").unlink()
    model, tokenizer = tf.AutoModelForCausalLM.from_pretrained(folder).eval(), tf.AutoTokenizer.from_pretrained(folder)
    calls = [
        (GREEDY, 3),
        ({**GREEDY, "return_full_text": False}, 2),
        ({**GREEDY, "repetition_penalty": 1.3, "no_repeat_ngram_size": 3}, 2),
        ({**GREEDY, "num_beams": 3, "num_return_sequences": 2}, 2),
        ({**GREEDY, "num_beams": 4, "early_stopping": True, "length_penalty": 0.5, "no_repeat_ngram_size": 2}, 2),
        ({**GREEDY, "clean_up_tokenization_spaces": False}, 1),
        ({**GREEDY, "stop_strings": [".", "the"], "tokenizer": tokenizer}, 2),
        ({"do_sample": False, "max_new_tokens": 8, "return_tensors": True}, 1),
        ({**GREEDY, "prefix": "Well, "}, 1),
    ]
    record(folder, model, tokenizer, [("text-generation", kwargs, n) for kwargs, n in calls])


def t5(name, seed):
    """spiece.model alone: tokenizer.json is what Python makes of it."""
    folder = fresh(name)
    sentence_piece(folder, "spiece.model", 300, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    tokenizer = tf.T5TokenizerFast(str(folder / "spiece.model"), extra_ids=12)
    config = tf.T5Config(
        vocab_size=len(tokenizer), d_model=36, d_kv=12, num_heads=3, d_ff=64, num_layers=2, num_decoder_layers=2,
        relative_attention_num_buckets=8, relative_attention_max_distance=20, pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0,
        task_specific_params={
            "summarization": {"early_stopping": True, "length_penalty": 2.0, "max_length": 40, "min_length": 5,
                              "no_repeat_ngram_size": 3, "num_beams": 4, "prefix": "summarize: "},
            "translation_en_to_de": {"early_stopping": True, "max_length": 30, "num_beams": 4,
                                     "prefix": "translate English to German: "},
            "translation_en_to_fr": {"early_stopping": True, "max_length": 30, "num_beams": 4,
                                     "prefix": "translate English to French: "},
        },
    )
    model = tf.T5ForConditionalGeneration(config).eval()
    seed_weights(model, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    # Repositories on the hub do not have this key; null would mean no.
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("add_prefix_space", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    model, tokenizer = tf.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), tf.AutoTokenizer.from_pretrained(folder)
    record(folder, model, tokenizer, seq2seq_calls("translation_en_to_de", "translation_en_to_fr"))


def seq2seq_calls(*translations):
    new = {"max_new_tokens": 20}
    calls = [
        ("text2text-generation", {**new, "num_beams": 1}, 2),
        ("text2text-generation", new, 2),
        ("text2text-generation", {**new, "num_beams": 3, "num_return_sequences": 3}, 1),
        ("text2text-generation", {**new, "num_beams": 2, "encoder_no_repeat_ngram_size": 2, "min_new_tokens": 6}, 1),
        ("summarization", new, 2),
        ("summarization", {"max_new_tokens": 12, "return_tensors": True}, 0),
    ]
    return [c for c in calls if c[2]] + [(task, new, 1) for task in translations]


def bart(name, seed):
    """vocab.json and merges.txt; a generation_config.json as bart-large-cnn's."""
    folder = fresh(name)
    byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 330)
    tokenizer = tf.BartTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    config = tf.BartConfig(
        vocab_size=len(tokenizer), d_model=36, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=96, prefix=" ",
    )
    model = tf.BartForConditionalGeneration(config).eval()
    seed_weights(model, seed)
    model.generation_config = tf.GenerationConfig(
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=0,
        forced_eos_token_id=2, early_stopping=True, length_penalty=2.0, max_length=40, min_length=9,
        no_repeat_ngram_size=3, num_beams=4,
    )
    model.save_pretrained(folder)
    model, tokenizer = tf.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), tf.AutoTokenizer.from_pretrained(folder)
    record(folder, model, tokenizer, seq2seq_calls(), fills=infill(model, tokenizer))


def bart_mnli(name, seed):
    """facebook/bart-large-mnli's head; vocab.json and merges.txt, as valhalla/distilbart-mnli has."""
    folder = fresh(name)
    byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 330)
    tokenizer = tf.BartTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    labels = ["contradiction", "neutral", "entailment"]
    config = tf.BartConfig(
        vocab_size=len(tokenizer), d_model=36, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=96,
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)},
    )
    model = tf.BartForSequenceClassification(config).eval()
    seed_weights(model, seed)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    settings = {"model_max_length": 96, "tokenizer_class": "BartTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    model = tf.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    pipe = pipeline("zero-shot-classification", model=model, tokenizer=tf.AutoTokenizer.from_pretrained(folder), device="cpu")
    topics = ["animals", "politics", "the weather", "food"]
    calls = [
        (["The dog sleeps under the table.", topics], {}),
        (["¿Dónde está la biblioteca, señor?", "viaje, comida"], {"hypothesis_template": "Este texto trata de {}."}),
        (["Hello", topics], {"multi_label": True}),
        (["Hello", ["greeting"]], {}),
        ([["The dog", "Hello, world! It isn't 3.5 o'clock yet."], topics], {}),
        (["word " * 120, topics[:2]], {}),
    ]
    out = [{"task": "zero-shot-classification", "args": args, "kwargs": kwargs, "result": pipe(*args, **kwargs)} for args, kwargs in calls]
    (folder / "golden.json").write_text(json.dumps({"calls": out}, ensure_ascii=False, indent=1) + "\n")
    print(name, out[0]["result"]["scores"])


def mbart(name, seed, tokenizer_class):
    """sentencepiece.bpe.model alone: the fairseq order and the languages are the class's."""
    folder = fresh(name)
    sentence_piece(folder, "sentencepiece.bpe.model", 300)
    tokenizer = tokenizer_class(str(folder / "sentencepiece.bpe.model"))
    config = tf.MBartConfig(
        vocab_size=len(tokenizer), d_model=36, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=96,
        scale_embedding=True, decoder_start_token_id=2, forced_eos_token_id=2, max_length=40, num_beams=4,
    )
    model = tf.MBartForConditionalGeneration(config).eval()
    seed_weights(model, seed)
    model.save_pretrained(folder)
    class_name = tokenizer_class.__name__.removesuffix("Fast")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": class_name}, indent=2) + "\n")
    model, tokenizer = tf.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), tf.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.is_fast
    far = {"src_lang": "es_XX", "tgt_lang": "uk_UA" if "50" in class_name else "zh_CN"}
    new = {"max_new_tokens": 16}
    calls = [
        ("translation", {"src_lang": "en_XX", "tgt_lang": "es_XX", **new}, 2),
        ("translation", {"src_lang": "en_XX", "tgt_lang": "es_XX", "num_beams": 1, **new}, 2),
        ("translation", {**far, **new}, 2),
        ("text2text-generation", {"num_beams": 2, **new}, 1),
    ]
    texts = TEXTS + ["en_XX and </s> es_XX", "uk_UA", "a<mask> b <mask>", "東京 Ω", "  ", "c\u0327 \u1112\u1161\u11ab ①"]
    record(folder, model, tokenizer, calls, texts)


# Codes, alone and amid a text; what the source model does not know but vocab.json does; special tokens in a text;
# what the fast tokenizers' normalizer would do otherwise.
MARIAN_TEXTS = [
    ">>es<< The dog sleeps.", ">>de<<The dog", ">>xx<< an unknown code", "no >>es<< code here", ">>es<<", ">> es << The",
    ">>es<< >>de<< two", "The dog</s>>>es<< sleeps <unk> now<pad>", "</s>", "   ", "\t\n", "a\u2581b \u2581", "東京 ñandú ¡año!",
    "ñ ¿ 東", "c\u0327a\u0300 o\u0302\u0301 \u1112\u1161\u11ab", "👩‍👩‍👧 \u00ad\u200b\ufeff x", "a\u00a0b\u3000c  d", "＜ｕｎｋ＞ ①②", "<s> <0x41>",
    "e" * 70 + "\u0301" * 5, "ẛ̣ \u1e9b\u0323 q\u0307\u0323",
]


def marian(name, seed):
    """source.spm, target.spm and vocab.json, as the Opus-MT repositories."""
    folder = fresh(name)
    sentence_piece(folder, "source.spm", 300)
    sentence_piece(folder, "target.spm", 80, [*SPANISH * 4, "東 京"], rule="identity")
    pieces = []
    for file in ("source.spm", "target.spm"):
        model = sentencepiece.SentencePieceProcessor(str(folder / file))
        pieces += [model.id_to_piece(i) for i in range(3, len(model))]
    words = ["</s>", "<unk>", ">>es<<", ">>de<<", *dict.fromkeys(sorted(pieces, key=len)), "<pad>"]
    vocab = {word: i for i, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, indent=0) + "\n")
    settings = {"source_lang": "en", "target_lang": "es", "model_max_length": 96, "tokenizer_class": "MarianTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    pad = vocab["<pad>"]
    config = tf.MarianConfig(
        vocab_size=len(vocab), d_model=36, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=96,
        pad_token_id=pad, eos_token_id=0, bos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=0,
        scale_embedding=True,
    )
    model = tf.MarianMTModel(config).eval()
    seed_weights(model, seed)
    # As Opus-MT's: <pad> is never written.
    model.generation_config = tf.GenerationConfig(
        bad_words_ids=[[pad]], bos_token_id=0, eos_token_id=0, forced_eos_token_id=0, pad_token_id=pad,
        decoder_start_token_id=pad, max_length=40, num_beams=4,
    )
    model.save_pretrained(folder)
    model, tokenizer = tf.AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), tf.AutoTokenizer.from_pretrained(folder)
    calls = [("translation", {}, 3), ("translation", {"num_beams": 1}, 3), ("translation_en_to_es", {"max_new_tokens": 12}, 1),
             ("text2text-generation", {"num_beams": 2, "num_return_sequences": 2}, 1)]
    prompts = [">>es<< The dog sleeps.", "A ¿b? 東", *PROMPTS]
    record(folder, model, tokenizer, calls, TEXTS + MARIAN_TEXTS, prompts)


if __name__ == "__main__":
    torch.set_num_threads(1)
    tf.logging.set_verbosity_error()
    makers = {
        "gpt2-text": lambda name: gpt2(name, 11, True),
        "gpt2-merges": lambda name: gpt2(name, 12, False),
        "bart-text": lambda name: bart(name, 13),
        "t5-text": lambda name: t5(name, 14),
        "marian-text": lambda name: marian(name, 15),
        "mbart-text": lambda name: mbart(name, 16, tf.MBartTokenizerFast),
        "mbart50-text": lambda name: mbart(name, 17, tf.MBart50TokenizerFast),
        "bart-mnli-text": lambda name: bart_mnli(name, 18),
    }
    for variant in sys.argv[1:] or makers:
        makers[variant](variant)
