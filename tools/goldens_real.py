#!/usr/bin/env python3
"""Writes tests/goldens/real: what the two real models answer on 200 varied sentences.

    python tools/goldens_real.py --models DIR

DIR holds all-MiniLM-L6-v2 and rampart as extract_minilm.py and convert_rampart.py write them. Every
sentence is run alone, unpadded, in f32. The schema is in tests/goldens/README.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer, pipeline

from models import GOLDENS

OUT = GOLDENS / "real"
FULL_LOGITS = 20
"""Every tenth sentence keeps all its logits."""
HIDDEN = (0, 23, 198)
"""Sentences whose last hidden state is kept: a plain one, one with Chinese and Hangul, and "?"."""


def encode(tokenizer, sentence: str) -> dict:
    encoding = tokenizer(sentence, return_offsets_mapping=True).encodings[0]
    return {"text": sentence, "input_ids": encoding.ids, "offsets": [list(o) for o in encoding.offsets]}


def write(name: str, header: dict, rows: list[dict]) -> None:
    head = json.dumps(header, separators=(",", ":"))
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (OUT / name).write_text(head[:-1] + ',"sentences":[\n' + lines + "\n]}\n")


@torch.no_grad()
def tagger(path: Path, sentences: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForTokenClassification.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    pipe = pipeline(
        "token-classification", model=model, tokenizer=tokenizer, device="cpu", aggregation_strategy="simple"
    )
    rows, kept, narrow = [], {}, 0
    for i, sentence in enumerate(sentences):
        row = encode(tokenizer, sentence)
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]  # [T, 35]
        best = logits.topk(2, dim=-1)
        row["labels"] = best.indices[:, 0].tolist()
        row["margin"] = float((best.values[:, 0] - best.values[:, 1]).min())
        narrow += row["margin"] < 2e-3
        row["entities"] = [
            {**e, "score": float(e["score"]), "start": int(e["start"]), "end": int(e["end"])} for e in pipe(sentence)
        ]
        if i % (len(sentences) // FULL_LOGITS) == 0:
            kept[f"logits.{i}"] = logits.contiguous()
        rows.append(row)
    save_file(kept, OUT / "rampart.safetensors")
    write("rampart.json", {"model": "rampart", "transformers": transformers.__version__}, rows)
    entities = sum(len(r["entities"]) for r in rows)
    print(f"rampart: {len(rows)} sentences, {entities} entities, {narrow} sentences with a top-two margin under 2e-3")


@torch.no_grad()
def embedder(path: Path, sentences: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModel.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    rows, embeddings, kept = [], [], {}
    for i, sentence in enumerate(sentences):
        row = encode(tokenizer, sentence)
        hidden = model(input_ids=torch.tensor([row["input_ids"]])).last_hidden_state[0]  # [T, 384]
        embeddings.append(torch.nn.functional.normalize(hidden.mean(0), dim=-1))
        if i in HIDDEN:
            kept[f"last_hidden_state.{i}"] = hidden.contiguous()
        rows.append(row)
    kept["embeddings"] = torch.stack(embeddings)  # [200, 384]
    save_file(kept, OUT / "minilm.safetensors")
    write("minilm.json", {"model": "all-MiniLM-L6-v2", "transformers": transformers.__version__}, rows)
    print(f"MiniLM: {len(rows)} embeddings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    sentences = (OUT / "sentences.txt").read_text(encoding="utf-8").splitlines()
    tagger(args.models / "rampart", sentences)
    embedder(args.models / "all-MiniLM-L6-v2", sentences)
    for path in OUT.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
