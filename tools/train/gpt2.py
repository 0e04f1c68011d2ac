"""Text generation: a small GPT-2, from scratch, on the descriptions of Debian's packages.

    python tools/train/packages.py --out DATA
    python tools/train/gpt2.py --data DATA --out DIR [--minutes N]

Writes DIR/model: a GPT2LMHeadModel with its byte-level BPE tokenizer. A text is

    name: synopsis
    paragraph
    ...

so "name:" or the begin of a sentence is a prompt. Each source package gives every paragraph once. First the embeddings
and the head are fitted to bigram counts, then the whole is trained. The last line is
the perplexity of held-out texts, beside that of a unigram model (counts of train, plus one) over the same tokens.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

from common import Muon, Run, arguments, warmup_cosine

VOCAB, CONTEXT, BATCH = 4096, 256, 16
END = "<|endoftext|>"


def texts(data: Path, split: str) -> list[str]:
    out, seen, source = [], set(), None
    for line in open(data / "packages.jsonl"):
        r = json.loads(line)
        if r["split"] != split:
            continue
        if r["source"] != source:
            source, seen = r["source"], set()
        fresh = [p for p in r["paragraphs"] if p not in seen]
        seen.update(fresh)
        if fresh and sum(map(len, fresh)) >= 60:
            out.append("\n".join([f"{r['name']}: {r['synopsis']}", *fresh]))
    return out


def train_tokenizer(data: Path, out: Path) -> GPT2TokenizerFast:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts(data, "train"), vocab_size=VOCAB, min_frequency=2, special_tokens=[END])
    bpe.save_model(str(out))
    tokenizer = GPT2TokenizerFast(str(out / "vocab.json"), str(out / "merges.txt"), model_max_length=CONTEXT)
    tokenizer.save_pretrained(out)
    return tokenizer


def encode(tokenizer: GPT2TokenizerFast, texts: list[str]) -> list[np.ndarray]:
    """Each text's ids with the end token before it, cut to the context (and one, to predict)."""
    end = tokenizer.eos_token_id
    return [np.array([end, *e.ids][: CONTEXT + 1], np.int64) for e in tokenizer.backend_tokenizer.encode_batch(texts)]


@torch.no_grad()
def perplexity(model: GPT2LMHeadModel, rows: list[np.ndarray]) -> float:
    model.eval()
    loss = count = 0
    for row in rows:
        ids = torch.from_numpy(row)[None]
        logits = model(ids[:, :-1]).logits
        loss += F.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return math.exp(loss / count)


def unigram(train: list[np.ndarray], rows: list[np.ndarray]) -> float:
    counts = np.bincount(np.concatenate([r[1:] for r in train]), minlength=VOCAB) + 1
    logs = np.log(counts / counts.sum())
    return math.exp(-np.concatenate([logs[r[1:]] for r in rows]).mean())


def fit_bigrams(model: GPT2LMHeadModel, train: list[np.ndarray], steps: int = 400) -> None:
    """Fits embeddings, last norm and head alone to the counts of neighbouring tokens in the whole of train.

    With blocks that add nothing yet this is the whole model; it costs half a minute and saves the first third of the
    training, which could see only a part of the texts.
    """
    pairs = np.concatenate([r[:-1] * VOCAB + r[1:] for r in train])
    counts = torch.from_numpy(np.bincount(pairs, minlength=VOCAB * VOCAB)).view(VOCAB, VOCAB).float()
    rows = counts.sum(1)
    follow = counts / rows.clamp_min(1)[:, None]
    for block in model.transformer.h:
        torch.nn.init.zeros_(block.attn.c_proj.weight)
        torch.nn.init.zeros_(block.mlp.c_proj.weight)
    torch.nn.init.normal_(model.transformer.wte.weight, std=0.1)
    torch.nn.init.normal_(model.transformer.wpe.weight, std=0.005)
    parts = [model.transformer.wte, model.transformer.ln_f, model.lm_head]
    adam = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=0.01)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 0.01 * warmup_cosine(step, steps, 10)
        ids = torch.multinomial(rows, 256)
        hidden = model.transformer.ln_f(model.transformer.wte(ids))
        loss = F.cross_entropy(model.lm_head(hidden), follow[ids])
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step % 100 == 99:
            print(f"bigrams: step {step + 1} loss {loss.item():.3f}", flush=True)


def main() -> None:
    parser = arguments(__doc__, steps=460)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--muon", type=float, default=5e-3)
    parser.add_argument("--adam", type=float, default=1e-3)
    args = parser.parse_args()

    folder = args.out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "tokenizer.json").exists():
        tokenizer = GPT2TokenizerFast.from_pretrained(folder)
    else:
        tokenizer = train_tokenizer(args.data, folder)
    cache = args.out / "ids.npz"
    if not cache.exists():
        rows = {s: encode(tokenizer, texts(args.data, s)) for s in ("train", "test")}
        arrays = {}
        for split, r in rows.items():
            arrays[split], arrays[split + "_ends"] = np.concatenate(r), np.cumsum([len(x) for x in r])
        np.savez(cache, **arrays)
    arrays = np.load(cache)
    train, test = (np.split(arrays[s], arrays[s + "_ends"][:-1]) for s in ("train", "test"))
    lengths = np.array([len(r) for r in train])
    print(f"{len(train)} texts, {lengths.sum()} tokens, mean {lengths.mean():.0f}; {len(test)} of test", flush=True)

    torch.manual_seed(args.seed)
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=CONTEXT, n_embd=args.width, n_layer=args.layers, n_head=args.width // 32,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".h." in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and ".h." in n)]
    muon, adam = Muon(matrices, weight_decay=0.01), torch.optim.AdamW(rest, betas=(0.9, 0.95), weight_decay=0.0)
    run = Run(args, {"model": model, "muon": muon, "adam": adam})
    if run.step == 0:
        fit_bigrams(model, train)

    # Texts of like length go together, so that little is padded: a shuffled list cut into groups of 32 batches, each
    # sorted by length. Every text is seen at most once; there is time for no more.
    order = np.random.default_rng(args.seed).permutation(len(train))
    groups = [order[i : i + BATCH * 32] for i in range(0, len(order) - BATCH * 32, BATCH * 32)]
    batches = []
    for n, group in enumerate(groups):
        group = group[np.argsort(lengths[group])]
        cut = [group[i : i + BATCH] for i in range(0, len(group), BATCH)]
        batches += [cut[i] for i in np.random.default_rng(n).permutation(len(cut))]

    mean = total = 0.0
    for step in run:
        batch = [train[i] for i in batches[step % len(batches)]]
        width = max(map(len, batch))
        ids = torch.full((len(batch), width), -100)
        for i, row in enumerate(batch):
            ids[i, : len(row)] = torch.from_numpy(row)
        rate = warmup_cosine(step, args.steps, 30)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = args.muon * rate, args.adam * rate
        model.train()
        hidden = model.transformer(ids[:, :-1].clamp_min(0)).last_hidden_state
        labels = ids[:, 1:]
        loss = F.cross_entropy(model.lm_head(hidden[labels >= 0]), labels[labels >= 0])
        loss.backward()
        muon.step()
        adam.step()
        muon.zero_grad()
        adam.zero_grad()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        total += (labels >= 0).sum().item()
        if step % 20 == 19:
            print(f"step {step + 1} loss {mean:.3f} tokens {total:.0f} {run.seconds:.0f} s", flush=True)

    held = test[:: max(1, len(test) // 300)]
    if run.done:
        model.generation_config.update(
            do_sample=True, temperature=0.4, top_k=20, repetition_penalty=1.1, no_repeat_ngram_size=4,
            max_new_tokens=60,
        )  # fmt: skip
        model.save_pretrained(folder)
        with open(args.out / "test.jsonl", "w") as file:
            file.writelines(json.dumps({"ids": row.tolist()}) + "\n" for row in held)
    rates = f"perplexity {perplexity(model, held):.1f}, unigram {unigram(train, held):.1f}"
    print(f"{run.seconds:.0f} s; held out: {rates}")
    prompts = ["", "A small", "libimage-resize-perl:", "This package provides", "A game in which"]
    for prompt in prompts:
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(prompt).input_ids]])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=0.4, top_k=20,
            repetition_penalty=1.1, no_repeat_ngram_size=4, max_new_tokens=60, pad_token_id=0,
        )  # fmt: skip
        print("---", tokenizer.decode(out[0, 1:]))


if __name__ == "__main__":
    main()
