"""Speech models."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from common import EAGER, SEED, Graph, Model
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

SECONDS = 5
RATE = 16000


class Logits(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.model(input_values).logits


def graphs(model: torch.nn.Module) -> list[Graph]:
    sound = torch.randn(1, SECONDS * RATE, generator=torch.Generator().manual_seed(SEED))
    axes = {"input_values": {0: "batch_size", 1: "samples"}, "logits": {0: "batch_size", 1: "frames"}}
    return [Graph(Logits(model), {"input_values": sound}, ["logits"], dynamic=axes)]


def files(out: Path) -> None:
    Wav2Vec2FeatureExtractor().save_pretrained(out)
    characters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
    (out / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate(characters)}))
    config = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "word_delimiter_token": "|", "pad_token": "<pad>"}
    (out / "tokenizer_config.json").write_text(json.dumps(config))


MODELS = {"wav2vec2-base": Model(lambda: Wav2Vec2ForCTC(Wav2Vec2Config(**EAGER)), graphs, files)}
