#!/usr/bin/env python3
"""Writes the goldens of the vision pyramids: SegFormer, GLPN, Swin and Mask2Former.

    python tools/goldens_pyramids.py [VARIANT ...]

Each tests/goldens/vision/<variant>/ holds a small seeded checkpoint as the hub would have it, `golden.json` (the
class, the pictures' size) and `taps.safetensors`: the input `pixels` [B, H, W, 3], what every named module gives
(maps channels last) and the model's outputs as `output.*`. Deterministic for given library versions.
"""

from __future__ import annotations

import json
import re
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    GLPNConfig,
    Mask2FormerConfig,
    SegformerConfig,
    SwinConfig,
)

from golden_images import GOLDENS, last_channels

SEGFORMER = {
    "hidden_sizes": [8, 12, 20, 32],
    "depths": [1, 2, 1, 1],
    "num_attention_heads": [1, 2, 2, 4],
    "sr_ratios": [4, 2, 2, 1],
    "mlp_ratios": [2, 2, 2, 2],
}


def swin(**changes) -> SwinConfig:
    sizes = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 4, "patch_size": 4}
    return SwinConfig(**{**sizes, **changes})


def mask2former(labels: int, **changes) -> Mask2FormerConfig:
    sizes = {
        "feature_size": 32,
        "mask_feature_size": 32,
        "hidden_dim": 32,
        "encoder_feedforward_dim": 40,
        "encoder_layers": 2,
        "decoder_layers": 4,
        "num_attention_heads": 4,
        "dim_feedforward": 48,
        "num_queries": 9,
        "num_labels": labels,
    }
    backbone = swin(
        embed_dim=4,
        depths=[2, 2, 1, 1],
        num_heads=[1, 2, 2, 2],
        mlp_ratio=2.0,
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return Mask2FormerConfig(backbone_config=backbone, **{**sizes, **changes})


# variant: class, config, seed, [B, H, W], patterns of the modules whose outputs are kept
VARIANTS = {
    "segformer-cls": (
        "SegformerForImageClassification",
        SegformerConfig(**SEGFORMER, num_labels=5),
        1,
        [2, 64, 96],
        [r"encoder\.patch_embeddings\.\d", r"encoder\.block\.0\.0\.attention\.self", r"encoder\.layer_norm\.\d"],
    ),
    "segformer-semantic": (
        "SegformerForSemanticSegmentation",
        SegformerConfig(**SEGFORMER, decoder_hidden_size=20, num_labels=7),
        2,
        [1, 96, 64],
        [r"encoder\.block\.\d+\.\d+", r"decode_head\.linear_c\.\d"],
    ),
    "glpn": (
        "GLPNForDepthEstimation",
        GLPNConfig(**SEGFORMER, decoder_hidden_size=12, max_depth=10),
        3,
        [1, 64, 96],
        [r"encoder\.block\.\d+\.\d+", r"decoder\.stages\.[0-2](\.fusion)?"],
    ),
    "swin": (
        "SwinForImageClassification",
        swin(num_labels=5),
        4,
        [2, 44, 72],  # 11 x 18 and 6 x 9 patches: neither is a multiple of the window, and 11 is odd
        [
            r"embeddings",
            r"encoder\.layers\.\d\.blocks\.\d",
            r"encoder\.layers\.\d\.downsample",
            r"layernorm",
        ],
    ),
    "mask2former": (
        "Mask2FormerForUniversalSegmentation",
        mask2former(6),
        5,
        [1, 64, 96],  # 16 x 24 .. 2 x 3 patches, windows of 2
        None,
    ),
    "mask2former-square": (
        "Mask2FormerForUniversalSegmentation",
        mask2former(3, num_queries=5, decoder_layers=3),
        6,
        [2, 64, 64],
        # the decoders take pictures one by one: only the backbone has taps of both
        [r"pixel_level_module\.encoder\.hidden_states_norms\.stage\d"],
    ),
}

# What follows "For" in a class: VisionHead in src/models/vision.rs
HEADS = {
    "ImageClassification": "Classification",
    "SemanticSegmentation": "Semantic",
    "DepthEstimation": "Depth",
    "UniversalSegmentation": "Universal",
}

MASK2FORMER_TAPS = [
    r"pixel_level_module\.encoder\.hidden_states_norms\.stage\d",
    r"pixel_level_module\.decoder\.encoder\.layers\.\d",
    r"pixel_level_module\.decoder\.mask_projection",
    r"transformer_module\.decoder\.layers\.\d",
]


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Draws every parameter and statistic anew, so that any two that are swapped show up."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if not p.is_floating_point():
            continue
        noise = torch.randn(p.shape, generator=generator)
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "running_var":
            value = 0.5 + noise.abs()
        elif leaf in ("running_mean", "bias", "in_proj_bias"):
            value = 0.3 * noise
            if "sampling_offsets" in name:
                value = 1.5 * noise  # a few pixels, past the edges too
        elif leaf == "relative_position_bias_table":
            value = noise
        elif p.ndim == 1:
            value = 1.0 + 0.3 * noise
        elif "queries" in name or "level_embed" in name:
            value = noise
        else:
            gain = 1.5 if any(k in name for k in ("query", "key", "q_proj", "k_proj")) else 0.9
            value = gain * noise / p[0].numel() ** 0.5
        p.data.copy_(value)


@torch.no_grad()
def run(model: torch.nn.Module, pixels: torch.Tensor, patterns: list[str]) -> dict[str, torch.Tensor]:
    """What the modules whose names match give, under their names without the base model's prefix."""
    kept: dict[str, torch.Tensor] = {}
    prefix = model.base_model_prefix + "."

    def hook(name):
        def keep(_module, _inputs, output):
            if isinstance(output, tuple):
                output = output[0]
            if isinstance(output, torch.Tensor):
                kept[name] = last_channels(output)

        return keep

    handles = []
    for name, module in model.named_modules():
        bare = name.removeprefix(prefix)
        if any(re.fullmatch(pattern, bare) for pattern in patterns):
            handles.append(module.register_forward_hook(hook(bare)))
    output = model(pixel_values=pixels.permute(0, 3, 1, 2))
    for handle in handles:
        handle.remove()
    if "predicted_depth" in output:
        kept["output.depth"] = output.predicted_depth
    elif "class_queries_logits" in output:
        kept["output.logits"] = output.class_queries_logits
        kept["output.masks"] = output.masks_queries_logits  # [B, Q, h, w]
    else:
        kept["output.logits"] = last_channels(output.logits)
    return kept


def write(variant: str) -> None:
    class_name, config, seed, (b, h, w), patterns = VARIANTS[variant]
    torch.manual_seed(0)
    model = getattr(transformers, class_name)(config).eval()
    randomize(model, seed)
    out = GOLDENS / variant
    shutil.rmtree(out, ignore_errors=True)
    model.save_pretrained(out)
    generator = torch.Generator().manual_seed(100 + seed)
    pixels = torch.randn([b, h, w, 3], generator=generator)
    taps = run(model, pixels, MASK2FORMER_TAPS if patterns is None else patterns)
    taps["pixels"] = pixels
    save_file({name: t.float().contiguous().clone() for name, t in taps.items()}, out / "taps.safetensors")
    golden = {
        "model_class": class_name,
        "transformers": transformers.__version__,
        "head": HEADS[class_name.rsplit("For", 1)[1]],
        "size": [b, h, w],
    }
    (out / "golden.json").write_text(json.dumps(golden) + "\n")
    sizes = {p.name: p.stat().st_size for p in out.iterdir()}
    print(variant, sum(sizes.values()), sizes)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or VARIANTS:
        write(chosen)
