"""Seeded models, taps and input batches of the text goldens."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def randomize(model: torch.nn.Module, seed: int, logit_gain: float = 1.0) -> None:
    """Draws every parameter anew, biases and LayerNorms too, so that any two that are swapped show up.

    The matrices keep activations around one; attention and the heads are decisive instead of uniform.
    """
    generator = torch.Generator().manual_seed(seed)
    seen: set[int] = set()
    heads = ("classifier", "qa_outputs", "seq_relationship", "decoder", "vocab_projector")
    for name, parameter in model.named_parameters():
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        noise = torch.randn(parameter.shape, generator=generator)
        is_norm = "LayerNorm" in name or "layer_norm" in name or "vocab_layer_norm" in name
        if is_norm and name.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif name.endswith("bias"):
            value = 0.3 * noise
        elif "embeddings" in name:
            # Words outweigh positions, and attention mixes less than it keeps: tokens stay distinct.
            value = (1.0 if "word" in name else 0.4) * noise
        else:
            gain = 1.5 if any(k in name for k in ("query", "key", "q_lin", "k_lin")) else 0.9
            value = noise * gain / math.sqrt(parameter.shape[-1])
        if any(name.startswith(h) or f".{h}" in name for h in heads) and name.endswith("weight"):
            value = value * logit_gain
        parameter.data.copy_(value)
    model.eval()


def tap_modules(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Tap name -> module. Names are the module path without the base model's prefix."""
    base = model.base_model
    taps = {"embeddings": base.embeddings}
    if model.config.model_type == "bert":
        for i, layer in enumerate(base.encoder.layer):
            taps[f"encoder.layer.{i}.attention.self"] = layer.attention.self
            taps[f"encoder.layer.{i}.attention.output"] = layer.attention.output
            taps[f"encoder.layer.{i}"] = layer
        if base.pooler is not None:
            taps["pooler"] = base.pooler
    else:
        for i, layer in enumerate(base.transformer.layer):
            taps[f"transformer.layer.{i}.attention"] = layer.attention
            taps[f"transformer.layer.{i}.sa_layer_norm"] = layer.sa_layer_norm
            taps[f"transformer.layer.{i}"] = layer
    return taps


@torch.no_grad()
def run_taps(model: torch.nn.Module, batch: list[dict]) -> dict[str, torch.Tensor]:
    """Runs the texts one by one, unpadded; token tensors come back joined as [M, ...], pooled ones as [B, ...]."""
    collected: dict[str, list[torch.Tensor]] = {}

    def hook(name):
        def keep(_module, _inputs, output):
            value = output[0] if isinstance(output, tuple) else output
            collected.setdefault(name, []).append(value if name == "pooler" else value[0])

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in tap_modules(model).items()]
    for item in batch:
        feed = {"input_ids": torch.tensor([item["input_ids"]])}
        if model.config.model_type == "bert":
            feed["token_type_ids"] = torch.tensor([item["token_type_ids"]])
        output = model(**feed)
        if "start_logits" in output:
            logits = torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)  # [T, 2]
        elif "prediction_logits" in output:
            logits = output.prediction_logits[0]  # [T, V]
            collected.setdefault("seq_relationship", []).append(output.seq_relationship_logits)  # [1, 2]
        elif "logits" in output:
            logits = output.logits if output.logits.dim() == 2 else output.logits[0]  # [1, C] or [T, C]
        else:
            continue
        collected.setdefault("logits", []).append(logits)
    for handle in handles:
        handle.remove()
    return {name: torch.cat(parts).contiguous() for name, parts in collected.items()}


def input_batch(tokenizer, texts: list[str | tuple[str, str]]) -> list[dict]:
    """What the tokenizer makes of each text or pair; offsets in code points of the text a token comes from."""
    batch = []
    for entry in texts:
        text, pair = entry if isinstance(entry, tuple) else (entry, None)
        encoding = tokenizer(text, pair, truncation=True, return_offsets_mapping=True).encodings[0]
        batch.append(
            {
                "text": text,
                "text_pair": pair,
                "input_ids": encoding.ids,
                "token_type_ids": encoding.type_ids,
                "tokens": encoding.tokens,
                "offsets": [list(o) for o in encoding.offsets],
                "sequence_ids": encoding.sequence_ids,
            }
        )
    return batch


def rewrite(out: Path, change) -> None:
    """Applies `change` to the tensors of model.safetensors and writes them back."""
    path = out / "model.safetensors"
    tensors = change(load_file(path))
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata={"format": "pt"})


def with_old_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """LayerNorm.gamma / beta as TensorFlow-born checkpoints have them, plus the position_ids buffer of old saves."""
    renamed = {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in tensors.items()
    }
    (positions,) = (k for k in tensors if k.endswith("embeddings.position_embeddings.weight"))
    renamed[positions.replace("position_embeddings.weight", "position_ids")] = torch.arange(len(tensors[positions]))[
        None
    ]
    return renamed


def as_dtype(dtype: torch.dtype):
    return lambda tensors: {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}


def edit_config(out: Path, **changes) -> None:
    """Sets keys of config.json; None removes the key."""
    path = out / "config.json"
    config = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
