"""Models that write: an encoder, a prompt and one step, each a graph of fixed sizes.

The hub's files hold a prompt and a step in one graph behind an `If`; apart from it and free of the
work that free sizes cost they are at least as fast. A step reads PAST tokens of keys and values
and, in an encoder-decoder, the keys of a source of SOURCE tokens.
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import torch
from common import EAGER, SEED, Graph, Model
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    DynamicCache,
    EncoderDecoderCache,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

PAST = 64
SOURCE = 512
GOLDENS = Path(__file__).resolve().parents[2] / "tests/goldens/generation"


def ids(count: int) -> torch.Tensor:
    return torch.randint(10, 300, (1, count), generator=torch.Generator().manual_seed(SEED))


def causal(queries: int, keys: int) -> torch.Tensor:
    """What is added to scores, `[1, 1, queries, keys]`."""
    seen = torch.arange(keys)[None] <= torch.arange(keys - queries, keys)[:, None]
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]


def pairs(flat: tuple[torch.Tensor, ...]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(flat[::2], flat[1::2]))


def flat(cache: DynamicCache) -> list[torch.Tensor]:
    return [tensor for layer in cache.to_legacy_cache() for tensor in layer]


class Decoder(torch.nn.Module):
    """A decoder alone: the logits of the last token, and all keys and values."""

    def __init__(self, model: torch.nn.Module, tokens: int, past: int):
        super().__init__()
        self.model, self.tokens, self.past = model, tokens, past

    def forward(self, input_ids: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        cache = DynamicCache.from_legacy_cache(pairs(past)) if past else DynamicCache()
        position = torch.arange(self.past, self.past + self.tokens)
        hidden = self.model.transformer(
            input_ids,
            past_key_values=cache,
            cache_position=position,
            position_ids=position[None],
            attention_mask=causal(self.tokens, self.past + self.tokens),
            use_cache=True,
        )
        logits = self.model.lm_head(hidden.last_hidden_state[:, -1:])
        return (logits, *flat(hidden.past_key_values))


class Step(torch.nn.Module):
    """One step of an encoder-decoder: the logits, and the decoder's own keys and values."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own, cross = past[: len(past) // 2], past[len(past) // 2 :]
        cache = EncoderDecoderCache(DynamicCache.from_legacy_cache(pairs(own)), DynamicCache.from_legacy_cache(pairs(cross)))
        config = self.model.config
        out = self.model.get_decoder()(
            input_ids=input_ids,
            attention_mask=torch.zeros(1, 1, 1, PAST + 1),
            encoder_hidden_states=torch.zeros(1, SOURCE, config.d_model),
            past_key_values=cache,
            cache_position=torch.tensor([PAST]),
            use_cache=True,
        )
        hidden = out.last_hidden_state
        if config.model_type == "t5" and config.tie_word_embeddings:
            hidden = hidden * config.d_model**-0.5
        logits = self.model.lm_head(hidden)
        if config.model_type == "bart":
            logits = logits + self.model.final_logits_bias
        return (logits, *flat(out.past_key_values.self_attention_cache))


class Encoder(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.model.get_encoder()(input_ids).last_hidden_state


def caches(prefix: str, layers: int, heads: int, length: int, size: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    names = [f"{prefix}.{layer}.{kind}" for layer in range(layers) for kind in ("key", "value")]
    return {name: torch.randn(1, heads, length, size, generator=generator) for name in names}


def presents(inputs: dict[str, torch.Tensor]) -> list[str]:
    return [name.replace("past_key_values", "present") for name in inputs if name.endswith((".key", ".value"))]


def decoder_graphs(model: torch.nn.Module) -> list[Graph]:
    config = model.config
    past = caches("past_key_values", config.n_layer, config.n_head, PAST, config.n_embd // config.n_head)
    outputs = ["logits", *presents(past)]
    step = {"input_ids": ids(1), **past}
    return [
        Graph(Decoder(model, PAST, 0), {"input_ids": ids(PAST)}, outputs, name="decoder_model", q4=True),
        Graph(Decoder(model, 1, PAST), step, outputs, name="decoder_with_past_model", q4=True),
    ]


def seq2seq_graphs(model: torch.nn.Module) -> list[Graph]:
    config = model.config
    t5 = config.model_type == "t5"
    layers, heads = (config.num_decoder_layers, config.num_heads) if t5 else (config.decoder_layers, config.decoder_attention_heads)
    size = config.d_kv if t5 else config.d_model // heads
    own = caches("past_key_values.decoder", layers, heads, PAST, size)
    cross = caches("past_key_values.encoder", layers, heads, SOURCE, size)
    outputs = ["logits", *presents(own)]
    return [
        Graph(Encoder(model), {"input_ids": ids(SOURCE)}, ["last_hidden_state"], name="encoder_model", q4=True),
        Graph(Step(model), {"input_ids": ids(1), **own, **cross}, outputs, name="decoder_with_past_model", q4=True),
    ]


def tokenizer_files(out: Path, golden: str) -> None:
    """A small tokenizer of the same kind, and texts of so many of its tokens."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model", "vocab.json", "merges.txt"):
        if (GOLDENS / golden / name).exists():
            shutil.copyfile(GOLDENS / golden / name, out / name)
    tokenizer = AutoTokenizer.from_pretrained(out)
    texts = {}
    for length in (16, PAST, PAST + 1, 128, SOURCE):
        text = ""
        while len(tokenizer(text).input_ids) < length:
            text += " The dog sleeps under the table."
        # letter by letter back to the length
        while len(tokenizer(text).input_ids) > length:
            text = text[:-1]
        texts[length] = {"text": text, "ids": tokenizer(text).input_ids}
        assert len(texts[length]["ids"]) == length, (golden, length)
    (out / "texts.json").write_text(json.dumps(texts))


def gpt2(layers: int) -> Model:
    config = GPT2Config(n_layer=layers, **EAGER)
    return Model(lambda: GPT2LMHeadModel(config), decoder_graphs, partial(tokenizer_files, golden="gpt2-text"))


BART_BASE = {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12, "decoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}
T5_SMALL = {"decoder_start_token_id": 0}

MODELS = {
    "gpt2": gpt2(12),
    "distilgpt2": gpt2(6),
    "bart-base": Model(
        lambda: BartForConditionalGeneration(BartConfig(**BART_BASE, **EAGER)),
        seq2seq_graphs,
        partial(tokenizer_files, golden="bart-text"),
    ),
    "t5-small": Model(
        lambda: T5ForConditionalGeneration(T5Config(**T5_SMALL, **EAGER)),
        seq2seq_graphs,
        partial(tokenizer_files, golden="t5-text"),
    ),
}
