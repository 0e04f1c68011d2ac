#!/usr/bin/env python3
"""Writes tests/goldens/vision/<variant>/: seeded vision checkpoints, pixel values, inner values, outputs.

    python tools/goldens_vision.py [VARIANT ...]

A variant lives in the file of its family (golden_vit.py, golden_detr.py, ...), which lists them in VARIANTS.
The schema is in tests/goldens/README.md.
"""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

from golden_images import GOLDENS, Variant, last_channels, randomize

FAMILIES = ["golden_vit", "golden_detr"]


def variants() -> dict[str, Variant]:
    found: dict[str, Variant] = {}
    for family in FAMILIES:
        found.update(importlib.import_module(family).VARIANTS)
    return found


@torch.no_grad()
def write_variant(name: str, variant: Variant) -> None:
    out = GOLDENS / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.manual_seed(variant.seed)
    model = variant.make()
    randomize(model, variant.seed)
    model.save_pretrained(out)
    if variant.change:
        variant.change(out)

    # From here on only what was written counts, in f32.
    options = {} if variant.attention is None else {"attn_implementation": variant.attention}
    model, info = type(model).from_pretrained(out, dtype=torch.float32, output_loading_info=True, **options)
    if info["missing_keys"] or info["mismatched_keys"] or info["error_msgs"]:
        raise SystemExit(f"{name} did not load: {info}")
    model.eval()

    images, height, width = variant.size
    generator = torch.Generator().manual_seed(variant.seed)
    pixels = torch.randn((images, 3, height, width), generator=generator)  # [B, 3, H, W]
    tensors = {"pixels": pixels.permute(0, 2, 3, 1)}
    handles = []

    def hook(tap):
        def keep(_module, _inputs, output):
            value = output[0] if isinstance(output, (tuple, list)) else output
            value = getattr(value, "last_hidden_state", value)
            tensors[tap] = last_channels(value)

        return keep

    for tap, module in variant.taps(model).items():
        handles.append(module.register_forward_hook(hook(tap)))
    output = model(pixels)
    for handle in handles:
        handle.remove()
    for key, value in variant.outputs(output).items():
        tensors[f"output.{key}"] = last_channels(value)
    save_file({k: v.float().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}, out / "taps.safetensors")
    golden = {
        "model_class": type(model).__name__,
        "transformers": transformers.__version__,
        "head": variant.head,
        "size": list(variant.size),
    }
    (out / "golden.json").write_text(json.dumps(golden) + "\n")
    for path in out.iterdir():
        path.chmod(0o644)
    size = sum(p.stat().st_size for p in out.iterdir())
    spread = {k: round(float(v.std()), 3) for k, v in tensors.items() if k.startswith("output")}
    print(f"{name}: {len(tensors)} tensors, {size // 1024} KB, {spread}", flush=True)


def main() -> None:
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    known = variants()
    for name in sys.argv[1:] or known:
        write_variant(name, known[name])


if __name__ == "__main__":
    main()
