#!/usr/bin/env python3
"""What each candidate quantization costs in accuracy, simulated in torch on the two real models.

    python tools/quant_study.py --models DIR --out FILE.md

DIR holds all-MiniLM-L6-v2 and rampart as the other scripts write them. Every Linear weight is replaced
by its quantized values, its input is rounded to the candidate's grid before the (f32) product; that is
what an integer dot product with f32 scales computes. Attention, LayerNorm, biases stay f32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer

from models import GOLDENS


def blocks(x: torch.Tensor, size: int | None) -> torch.Tensor:
    """[..., K] -> [..., K / size, size]; one block for the whole row when size is None."""
    return x.unflatten(-1, (-1, size or x.shape[-1]))


def symmetric(x: torch.Tensor, levels: int, size: int | None) -> torch.Tensor:
    """Rounds to -levels..levels times a scale per block, absmax / levels."""
    b = blocks(x, size)
    scale = b.abs().amax(-1, keepdim=True).clamp_min(1e-30) / levels
    return (torch.round(b / scale).clamp(-levels, levels) * scale).flatten(-2)


def asymmetric(x: torch.Tensor, steps: int, size: int | None) -> torch.Tensor:
    """Rounds each block to 0..steps with a zero point, as dynamic quantization in XNNPACK does per row."""
    b = blocks(x, size)
    low, high = b.amin(-1, keepdim=True).clamp_max(0), b.amax(-1, keepdim=True).clamp_min(0)
    scale = ((high - low) / steps).clamp_min(1e-30)
    zero = torch.round(-low / scale)
    return (((torch.round(b / scale) + zero).clamp(0, steps) - zero) * scale).flatten(-2)


def round4(b: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    safe = torch.where(scale == 0, torch.ones_like(scale), scale)
    return torch.round(b / safe).clamp(-8, 7) * scale


def q4_signed(x: torch.Tensor, size: int = 32) -> torch.Tensor:
    """The value of largest magnitude maps to -8 (ggml's Q4_0, onnxruntime's MatMulNBits)."""
    b = blocks(x, size)
    extreme = b.gather(-1, b.abs().argmax(-1, keepdim=True))
    return round4(b, extreme / -8).flatten(-2)


def q4_absmax7(x: torch.Tensor, size: int = 32) -> torch.Tensor:
    b = blocks(x, size)
    return round4(b, b.abs().amax(-1, keepdim=True) / 7).flatten(-2)


def q4_search(x: torch.Tensor, size: int = 32, half_scale: bool = False) -> torch.Tensor:
    """Per block the scale of least squared error: extreme / d for d from -9.0 to -5.0 and 5.0 to 9.0 by 0.25."""
    b = blocks(x, size)
    extreme = b.gather(-1, b.abs().argmax(-1, keepdim=True))
    best = torch.full(b.shape[:-1] + (1,), float("inf"))
    result = torch.zeros_like(b)
    # -8 comes first: on a tie (weights that already lie on such a grid) it wins.
    steps = [i / 4 for i in range(20, 37)]
    for divisor in [-8.0] + [-s for s in steps if s != 8.0] + steps:
        scale = extreme / divisor
        if half_scale:
            scale = scale.half().float()
        candidate = round4(b, scale)
        error = (candidate - b).square().sum(-1, keepdim=True)
        better = error < best
        best = torch.where(better, error, best)
        result = torch.where(better, candidate, result)
    return result.flatten(-2)


WEIGHTS = {
    "f32": lambda w: w,
    "i8 channel": lambda w: symmetric(w, 127, None),
    "i8 /128": lambda w: symmetric(w, 127, 128),
    "i8 /64": lambda w: symmetric(w, 127, 64),
    "i8 /32": lambda w: symmetric(w, 127, 32),
    "i7 channel": lambda w: symmetric(w, 63, None),
    "i7 /128": lambda w: symmetric(w, 63, 128),
    "i7 /64": lambda w: symmetric(w, 63, 64),
    "i7 /32": lambda w: symmetric(w, 63, 32),
    "q4 extreme/-8": q4_signed,
    "q4 absmax/7": q4_absmax7,
    "q4 mse": q4_search,
    "q4 mse, f16 scale": lambda w: q4_search(w, half_scale=True),
}
ACTIVATIONS = {
    "f32": lambda x: x,
    "i8 row": lambda x: symmetric(x, 127, None),
    "i8 /128": lambda x: symmetric(x, 127, 128),
    "i8 /64": lambda x: symmetric(x, 127, 64),
    "i8 /32": lambda x: symmetric(x, 127, 32),
    "u8 row, zero point": lambda x: asymmetric(x, 255, None),
    "u8 /128, zero point": lambda x: asymmetric(x, 255, 128),
    "u8 /64, zero point": lambda x: asymmetric(x, 255, 64),
    "u8 /32, zero point": lambda x: asymmetric(x, 255, 32),
    "i7 row": lambda x: symmetric(x, 63, None),
    "i7 /128": lambda x: symmetric(x, 63, 128),
    "i7 /64": lambda x: symmetric(x, 63, 64),
    "i7 /32": lambda x: symmetric(x, 63, 32),
    "u7 row, zero point": lambda x: asymmetric(x, 127, None),
}
TABLES = {
    "f32": lambda e: e,
    "i8 row": lambda e: symmetric(e, 127, None),
    "q4 extreme/-8": q4_signed,
    "q4 mse": q4_search,
}

# q4 with some Linears kept at 8 bits: the format for those whose module name contains a key, else q4.
MIXED = {
    "q4 extreme/-8; value i8": (("value",), q4_signed),
    "q4 extreme/-8; value, attention.output i8": (("value", "attention.output"), q4_signed),
    "q4 mse; value i8": (("value",), q4_search),
    "q4 mse; value, attention.output i8": (("value", "attention.output"), q4_search),
    "q4 mse; all attention i8": (("attention",), q4_search),
    "q4 mse; value, intermediate i8": (("value", "intermediate"), q4_search),
}

CASES = (
    [("i8 channel", "f32", "f32"), ("i8 channel", "f32", "i8 row"), ("f32", "f32", "i8 row"), ("f32", "f32", "q4 mse")]
    + [("i8 channel", a, "i8 row") for a in ACTIVATIONS if a != "f32"]
    + [(f"i8 /{n}", a, "i8 row") for n in (128, 64, 32) for a in (f"i8 /{n}", f"u8 /{n}, zero point")]
    + [("i8 /32", "i7 /32", "i8 row"), ("i7 channel", "f32", "i8 row"), ("i7 channel", "i8 row", "i8 row")]
    + [(f"i7 /{n}", a, "i8 row") for n in (128, 64, 32) for a in ("f32", f"i8 /{n}", f"u8 /{n}, zero point")]
    + [(w, "f32", "f32") for w in ("q4 extreme/-8", "q4 absmax/7", "q4 mse", "q4 mse, f16 scale")]
    + [(w, a, "i8 row") for w in ("q4 extreme/-8", "q4 mse") for a in ("f32", "i8 row", "i8 /64", "i8 /32", "i7 /32")]
    + [("q4 extreme/-8", "i8 /32", "q4 extreme/-8"), ("q4 mse", "i8 /32", "q4 mse")]
    + [(w, a, "i8 row") for w in MIXED for a in ("f32", "i8 /32")]
    + [
        ("q4 mse; value, attention.output i8", "i8 /64", "i8 row"),
        ("q4 mse; value, attention.output i8", "i8 row", "i8 row"),
    ]
)


def quantize(name: str, module: str, weight: torch.Tensor) -> torch.Tensor:
    if name in MIXED:
        kept, q4 = MIXED[name]
        return symmetric(weight, 127, None) if any(k in module for k in kept) else q4(weight)
    return WEIGHTS[name](weight)


class Study:
    """One model whose Linears and word embeddings can be swapped for simulated ones and back."""

    def __init__(self, model: torch.nn.Module, tokenizer, sentences: list[str]):
        self.model = model.eval()
        named = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
        self.names, self.linears = zip(*named)
        self.table = model.get_input_embeddings()
        self.originals = [m.weight.data.clone() for m in self.linears]
        self.original_table = self.table.weight.data.clone()
        self.quantized: dict[str, list[torch.Tensor]] = {}
        self.activation = ACTIVATIONS["f32"]
        for m in self.linears:
            m.register_forward_pre_hook(lambda _m, args: (self.activation(args[0]),))
        # Sorted by length and run in batches: padding is masked, rows are quantized one by one.
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        self.batches = [
            tokenizer(
                [sentences[i] for i in order[at : at + 25]],
                padding=True,
                return_tensors="pt",
                return_special_tokens_mask=True,
            )
            for at in range(0, len(order), 25)
        ]
        self.special = [b.pop("special_tokens_mask").bool() for b in self.batches]

    @torch.no_grad()
    def run(self, weight: str, activation: str, table: str) -> list[torch.Tensor]:
        if weight not in self.quantized:
            self.quantized = {weight: [quantize(weight, n, w) for n, w in zip(self.names, self.originals)]}
        for m, w in zip(self.linears, self.quantized[weight]):
            m.weight.data = w
        self.table.weight.data = TABLES[table](self.original_table)
        self.activation = ACTIVATIONS[activation]
        return [self.model(**b)[0] for b in self.batches]

    def embeddings(self, hidden: list[torch.Tensor]) -> torch.Tensor:
        pooled = []
        for b, h in zip(self.batches, hidden):
            mask = b["attention_mask"][..., None].float()
            pooled.append((h * mask).sum(1) / mask.sum(1))
        return torch.nn.functional.normalize(torch.cat(pooled), dim=-1)

    def tokens(self, logits: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat([batch[~s] for batch, s in zip(logits, self.special)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    sentences = (GOLDENS / "real" / "sentences.txt").read_text().splitlines()
    minilm, rampart = args.models / "all-MiniLM-L6-v2", args.models / "rampart"
    embedder = Study(AutoModel.from_pretrained(minilm), AutoTokenizer.from_pretrained(minilm), sentences)
    tagger = Study(
        AutoModelForTokenClassification.from_pretrained(rampart), AutoTokenizer.from_pretrained(rampart), sentences
    )

    exact = embedder.embeddings(embedder.run("f32", "f32", "f32"))
    logits = tagger.tokens(tagger.run("f32", "f32", "f32"))
    labels = logits.argmax(-1)
    entity = labels != 0

    lines = [
        f"{len(sentences)} sentences, {len(labels)} tokens, {int(entity.sum())} of them in entities.",
        "",
        "`/32` is one scale per 32 values along K; i8 is -127..127, i7 is -63..63; `mse` searches the scale per block.",
        "",
        "| weights | activations | word embeddings | MiniLM cosine min | mean | tagger tokens equal | entity tokens equal | max logit difference | mean |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        cosine = (embedder.embeddings(embedder.run(*case)) * exact).sum(-1)
        got = tagger.tokens(tagger.run(*case))
        equal = got.argmax(-1) == labels
        difference = (got - logits).abs()
        lines.append(
            f"| {' | '.join(case)} | {cosine.min():.5f} | {cosine.mean():.5f} | {100 * equal.float().mean():.2f} % "
            f"| {100 * equal[entity].float().mean():.2f} % | {difference.max():.3f} | {difference.mean():.4f} |"
        )
        print(lines[-1], flush=True)
    args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
