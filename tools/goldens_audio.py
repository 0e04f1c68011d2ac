#!/usr/bin/env python3
"""Writes the speech goldens: small seeded checkpoints and what transformers computes with them.

    python tools/goldens_audio.py [VARIANT ...]

Each tests/goldens/audio/<variant>/ is a Hugging Face repository as it would come from the hub, plus
taps.safetensors (inputs and layer-by-layer tensors) and golden.json. The schema is in tests/goldens/README.md.
Deterministic for given library versions.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
import warnings

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2FeatureExtractor

from models import GOLDENS

RATE = 16000
LENGTHS = [5603, 1043]
"""Samples of the inputs: 17 frames and 3."""

KERNELS = {"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
SIZES = {
    "conv_dim": [24] * 7,
    "hidden_size": 40,
    "num_attention_heads": 4,
    "intermediate_size": 72,
    "num_hidden_layers": 2,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 32,
    "classifier_proj_size": 24,
    "num_codevectors_per_group": 20,
    "num_codevector_groups": 2,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
}
LARGE = {
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "hidden_size": 48,
    "num_conv_pos_embedding_groups": 3,
}


@dataclasses.dataclass
class Variant:
    """One golden folder: how its model is made and how it is saved."""

    model: str
    seed: int
    config: dict = dataclasses.field(default_factory=dict)
    labels: list[str] | None = None
    old_names: bool = False
    """weight_g and weight_v instead of parametrizations."""
    batch: bool = False
    """Record the padded batch with its attention mask, too."""


VARIANTS = {
    # 128 wide with 16 groups as published, 3 channels each
    "wav2vec2-ctc": Variant(
        "Wav2Vec2ForCTC",
        1,
        {
            "conv_dim": [32] * 7,
            "hidden_size": 48,
            "num_conv_pos_embeddings": 128,
            "num_conv_pos_embedding_groups": 16,
        },
        old_names=True,
    ),
    "wav2vec2-ctc-newnames": Variant("Wav2Vec2ForCTC", 2, {"conv_dim": [24, 36, 36, 30, 24, 24, 44]}),
    "wav2vec2-ctc-large": Variant("Wav2Vec2ForCTC", 3, LARGE | {"conv_dim": [32] * 7}, batch=True),
    # windows half a block apart: 48 channels a group
    "wav2vec2-ctc-grouped": Variant(
        "Wav2Vec2ForCTC",
        4,
        LARGE
        | {
            "hidden_size": 96,
            "intermediate_size": 40,
            "num_hidden_layers": 1,
            "num_conv_pos_embedding_groups": 2,
            "num_conv_pos_embeddings": 8,
        },
        old_names=True,
    ),
    "wav2vec2-seqcls": Variant(
        "Wav2Vec2ForSequenceClassification", 5, labels=["down", "go", "left", "no", "off"], old_names=True
    ),
    "wav2vec2-seqcls-weighted": Variant(
        "Wav2Vec2ForSequenceClassification",
        6,
        {"use_weighted_layer_sum": True},
        labels=["yes", "no", "stop"],
        old_names=True,
    ),
    "wav2vec2-seqcls-large-weighted": Variant(
        "Wav2Vec2ForSequenceClassification",
        7,
        LARGE | {"use_weighted_layer_sum": True},
        labels=["a", "b"],
        batch=True,
    ),
    "wav2vec2-frame": Variant("Wav2Vec2ForAudioFrameClassification", 8, labels=["speaker 1", "speaker 2"]),
    "wav2vec2-pretraining": Variant("Wav2Vec2ForPreTraining", 9, old_names=True),
    "wav2vec2-encoder": Variant("Wav2Vec2Model", 10, {"num_conv_pos_embeddings": 19, "hidden_act": "relu"}),
    "hubert-ctc": Variant("HubertForCTC", 11, {"feat_proj_layer_norm": False}, old_names=True),
    "hubert-seqcls-large": Variant(
        "HubertForSequenceClassification", 12, LARGE, labels=["happy", "sad"], batch=True
    ),
}


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Draws every parameter anew, biases and norms too, so that any two that are swapped show up."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        fan_in = math.prod(parameter.shape[1:]) or 1
        if "layer_norm" in name and name.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif name.endswith("bias"):
            value = 0.3 * noise
        elif name.endswith("original0"):
            value = 1.0 + 0.3 * noise.abs()
        elif "layer_weights" in name:
            value = noise
        elif "q_proj" in name or "k_proj" in name:
            value = noise * 1.5 / math.sqrt(fan_in)
        elif "conv_layers" in name:
            value = noise * 1.5 / math.sqrt(fan_in)
        elif "lm_head" in name or "classifier" in name or "weight_proj" in name:
            value = noise * 3.0 / math.sqrt(fan_in)
        else:
            value = noise * 0.9 / math.sqrt(fan_in)
        parameter.data.copy_(value)
    model.eval()


def waveforms(seed: int) -> list[np.ndarray]:
    """Chirps in noise, one per length."""
    rng = np.random.default_rng(seed)
    out = []
    for i, length in enumerate(LENGTHS):
        t = np.arange(length) / RATE
        chirp = np.sin(2 * np.pi * (180 * (i + 1) + 900 * t) * t)
        out.append((0.4 * chirp + 0.1 * rng.standard_normal(length) + 0.05).astype(np.float32))
    return out


def tap_modules(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Tap name -> module. Names are the module path without the base model's prefix."""
    base = model.base_model
    taps = {f"feature_extractor.conv_layers.{i}": m for i, m in enumerate(base.feature_extractor.conv_layers)}
    taps["feature_projection"] = base.feature_projection
    taps["encoder.layer_norm"] = base.encoder.layer_norm
    for i, layer in enumerate(base.encoder.layers):
        taps[f"encoder.layers.{i}.layer_norm"] = layer.layer_norm
        taps[f"encoder.layers.{i}.final_layer_norm"] = layer.final_layer_norm
        taps[f"encoder.layers.{i}"] = layer
    for head in ("projector", "quantizer.weight_proj"):
        if (module := dict(model.named_modules()).get(head)) is not None:
            taps[head] = module
    return taps


def run(model: torch.nn.Module, values: torch.Tensor, taps: dict[str, torch.Tensor], prefix: str) -> None:
    """Runs one utterance `[1, T]` and writes what its modules give; convolutions only of a short one."""
    hooks = []
    for name, module in tap_modules(model).items():

        def hook(_module, _inputs, output, name=name):
            output = output[0] if isinstance(output, tuple) else output
            if name.startswith("feature_extractor"):
                if values.shape[1] > 2000 and not name.endswith(".6"):
                    return
                output = output.transpose(1, 2)  # channels last
            taps[f"{prefix}/{name}"] = output.reshape(-1, output.shape[-1]).clone()

        hooks.append(module.register_forward_hook(hook))
    with torch.no_grad():
        output = model(values)
    for hook in hooks:
        hook.remove()
    if "logits" in output:
        taps[f"{prefix}/logits"] = output.logits[0].reshape(-1, output.logits.shape[-1]).clone()
    elif "last_hidden_state" in output:
        taps[f"{prefix}/logits"] = output.last_hidden_state[0].clone()
    elif hasattr(model, "quantizer"):
        logits = taps[f"{prefix}/quantizer.weight_proj"]
        groups = model.config.num_codevector_groups
        taps[f"{prefix}/logits"] = logits.clone()
        taps[f"{prefix}/codes"] = logits.view(logits.shape[0], groups, -1).argmax(-1).float()


def vocabulary(size: int) -> dict[str, int]:
    """A character vocabulary in the order of wav2vec2-base-960h."""
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
    return {token: i for i, token in enumerate(tokens[:size])}


def write(name: str, variant: Variant) -> None:
    folder = GOLDENS / "audio" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model_class = getattr(transformers, variant.model)
    config = model_class.config_class(**(KERNELS | SIZES | variant.config))
    if variant.labels:
        config.id2label = dict(enumerate(variant.labels))
        config.label2id = {label: i for i, label in enumerate(variant.labels)}
    model = model_class(config)
    randomize(model, variant.seed)
    extractor = Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=RATE,
        padding_value=0.0,
        do_normalize=True,
        return_attention_mask=config.feat_extract_norm == "layer",
    )
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    if "CTC" in variant.model:
        (folder / "vocab.json").write_text(json.dumps(vocabulary(config.vocab_size), indent=1) + "\n")
    if variant.old_names:
        weights = folder / "model.safetensors"
        renames = {
            "parametrizations.weight.original0": "weight_g",
            "parametrizations.weight.original1": "weight_v",
        }

        def old(key: str) -> str:
            for new, name in renames.items():
                key = key.replace(new, name)
            return key

        save_file({old(k): v for k, v in load_file(weights).items()}, weights, metadata={"format": "pt"})

    raw = waveforms(variant.seed)
    taps: dict[str, torch.Tensor] = {}
    for i, wave in enumerate(raw):
        values = extractor(wave, sampling_rate=RATE, return_tensors="pt").input_values
        taps[f"{i}/input_values"] = values[0].clone()
        run(model, values, taps, str(i))
    if variant.batch:
        batch = extractor(raw, sampling_rate=RATE, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(batch.input_values, attention_mask=batch.attention_mask).logits
        frames = model._get_feat_extract_output_lengths(batch.attention_mask.sum(-1))
        for i in range(len(raw)):
            valid = logits[i] if logits.dim() == 2 else logits[i, : frames[i]]
            taps[f"{i}/batch.logits"] = valid.reshape(-1, logits.shape[-1]).clone()
    save_file({k: v.float().contiguous() for k, v in sorted(taps.items())}, folder / "taps.safetensors")
    golden = {"model_class": variant.model, "transformers": transformers.__version__, "inputs": LENGTHS}
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for name in sys.argv[1:] or VARIANTS:
        write(name, VARIANTS[name])
        size = sum(f.stat().st_size for f in (GOLDENS / "audio" / name).iterdir())
        print(f"{name}: {size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
