"""Small seeded models that write, layer by layer: tests/goldens/generation/VARIANT/.

Each folder is a repository (config.json, model.safetensors) with reference values beside it:

    golden.json         what went in, and what greedy decoding writes
    taps.safetensors    inner values and logits of every text, each run alone, end to end

Greedy decoding here is a plain loop of argmax over full forward passes, with no cache; `margin` is
the smallest gap between the best and the second-best logit on the way.

    OMP_NUM_THREADS=1 python tools/goldens_generation.py
"""

import json
import pathlib

import torch
import transformers as tf
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent.parent / "tests/goldens/generation"
NEW = 24  # tokens of greedy decoding


def seed_weights(model, seed):
    """Weights that make logits differ: matrices of unit gain, norms and biases that show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if "embed_positions" in name and not p.requires_grad:
                continue  # sinusoids
            if p.ndim == 1:
                p.copy_(noise * 0.1 + (1.0 if "weight" in name else 0.0))
            elif "relative_attention_bias" in name:
                p.copy_(noise)
            elif any(n in name for n in ("shared", "embed", "wte", "wpe", "lm_head")):
                p.copy_(noise * 0.15)  # a tied head must not only see the token it reads
            else:
                fan_in = p.shape[0] if model.config.model_type == "gpt2" else p.shape[1]
                p.copy_(noise * 1.5 / fan_in**0.5)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.copy_(torch.randn(model.final_logits_bias.shape, generator=generator))


def tap(model, names, run):
    """The outputs of the named modules during `run`, `[tokens, width]` each."""
    taps, hooks = {}, []
    for name in names:
        def keep(_module, _args, out, name=name):
            out = out[0] if isinstance(out, tuple) else out
            taps[name] = out.detach().reshape(-1, out.shape[-1])
        hooks.append(model.get_submodule(name).register_forward_hook(keep))
    with torch.no_grad():
        taps["logits"] = run().logits.reshape(-1, run().logits.shape[-1])
    for hook in hooks:
        hook.remove()
    return taps


def write(name, model, names, inputs, greedy):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    model.save_pretrained(folder)
    for extra in ("generation_config.json",):
        (folder / extra).unlink(missing_ok=True)
    all_taps = {}
    for i, one in enumerate(inputs):
        tensors = {k: torch.tensor([v]) for k, v in one.items()}
        for tap_name, value in tap(model, names, lambda: model(**tensors)).items():
            all_taps.setdefault(tap_name, []).append(value)
    save_file({k: torch.cat(v).contiguous() for k, v in all_taps.items()}, folder / "taps.safetensors")
    golden = {"inputs": inputs}
    if greedy:
        golden["greedy"], margins = [], []
        for one in inputs:
            one, written = {k: list(v) for k, v in one.items()}, []
            ids = one["decoder_input_ids"] if "decoder_input_ids" in one else one["input_ids"]
            for _ in range(NEW):
                with torch.no_grad():
                    logits = model(**{k: torch.tensor([v]) for k, v in one.items()}).logits[0, -1]
                best = logits.topk(2).values
                margins.append(float(best[0] - best[1]))
                written.append(int(logits.argmax()))
                ids.append(written[-1])
            golden["greedy"].append(written)
        golden["margin"] = min(margins)
        print(name, "margin", round(min(margins), 4), golden["greedy"][0][:8])
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(name, size // 1024, "KB")


def ids(n, vocab, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, vocab, (n,), generator=generator).tolist()


def gpt2(name, seed, **config):
    config = dict(vocab_size=131, n_positions=80, n_layer=2) | config
    # sdpa, the default, forgets scale_attn_by_inverse_layer_idx in 4.57; eager does what it says
    config = tf.GPT2Config(bos_token_id=1, eos_token_id=2, **config)
    model = tf.GPT2LMHeadModel._from_config(config, attn_implementation="eager")
    seed_weights(model, seed)
    inputs = [{"input_ids": ids(n, 131, seed + n)} for n in (9, 5, 14)]
    names = ["transformer.drop"] + [f"transformer.h.{i}" for i in range(config.n_layer)]
    write(name, model, names, inputs, True)


def seq2seq(name, seed, model, names, greedy=True):
    vocab = model.config.vocab_size
    seed_weights(model, seed)
    inputs = [
        {"input_ids": ids(s, vocab, seed + s), "decoder_input_ids": [2] + ids(d, vocab, seed + 50 + d)}
        for s, d in ((11, 6), (30, 3))
    ]
    if not greedy:
        inputs = [{"input_ids": one["input_ids"][:-1] + [2]} for one in inputs]
    write(name, model, names, inputs, greedy)


def bart(name, seed, config_class, model_class, **config):
    config = dict(
        vocab_size=123, d_model=36, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=52, decoder_ffn_dim=44, max_position_embeddings=64,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2,
    ) | config
    model = model_class(config_class(**config))
    names = [f"model.{side}.layers.{i}" for side in ("encoder", "decoder") for i in range(2)]
    seq2seq(name, seed, model, names, "Sequence" not in model_class.__name__)


def t5(name, seed, **config):
    config = dict(
        vocab_size=123, d_model=36, d_kv=10, num_heads=4, d_ff=52, num_layers=2, num_decoder_layers=3,
        relative_attention_num_buckets=8, relative_attention_max_distance=20, pad_token_id=0,
        eos_token_id=1, decoder_start_token_id=0,
    ) | config
    model = tf.T5ForConditionalGeneration(tf.T5Config(**config))
    names = [f"encoder.block.{i}" for i in range(2)] + ["encoder.final_layer_norm"]
    names += [f"decoder.block.{i}" for i in range(3)]
    seq2seq(name, seed, model, names)


if __name__ == "__main__":
    torch.set_num_threads(1)
    gpt2("gpt2", 1, n_embd=36, n_head=3)
    gpt2("gpt2-scaled", 2, n_embd=48, n_head=4, n_inner=68, scale_attn_by_inverse_layer_idx=True)
    bart("bart", 3, tf.BartConfig, tf.BartForConditionalGeneration)
    bart("bart-mnli", 4, tf.BartConfig, tf.BartForSequenceClassification, num_labels=3)
    bart("mbart", 5, tf.MBartConfig, tf.MBartForConditionalGeneration, scale_embedding=True)
    bart(
        "marian", 6, tf.MarianConfig, tf.MarianMTModel, scale_embedding=True,
        activation_function="swish", static_position_embeddings=True, pad_token_id=122,
        decoder_start_token_id=122, eos_token_id=0, forced_eos_token_id=0,
    )
    t5("t5", 17)
    t5("t5-gated", 8, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
