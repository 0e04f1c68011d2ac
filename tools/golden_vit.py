"""ViT, DeiT, ResNet and ConvNeXT: classifiers, and backbones without a head."""

from __future__ import annotations

import torch
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextModel,
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from golden_images import Variant

LABELS = {"id2label": {i: f"label {i}" for i in range(5)}, "label2id": {f"label {i}": i for i in range(5)}}
VIT = {
    "hidden_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 60,
    "image_size": 32,
    "patch_size": 8,
}
CONVNEXT = {"num_stages": 4, "hidden_sizes": [12, 20, 32, 36], "depths": [1, 1, 1, 1]}
RESNET = {"embedding_size": 8, "depths": [1, 2, 1]}


def vit_taps(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    base = model.base_model
    taps = {"embeddings": base.embeddings}
    taps |= {f"encoder.layer.{i}": layer for i, layer in enumerate(base.encoder.layer)}
    return taps | ({"layernorm": base.layernorm} if model is base else {})


def convnext_taps(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    base = model.base_model
    taps = {"embeddings": base.embeddings}
    for s, stage in enumerate(base.encoder.stages):
        taps |= {f"encoder.stages.{s}.layers.{i}": layer for i, layer in enumerate(stage.layers)}
    return taps | {"layernorm": base.layernorm}


def resnet_taps(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    base = model.base_model
    taps = {"embedder": base.embedder}
    for s, stage in enumerate(base.encoder.stages):
        taps |= {f"encoder.stages.{s}.layers.{i}": layer for i, layer in enumerate(stage.layers)}
    return taps


def hidden(output) -> dict[str, torch.Tensor]:
    return {"states": output.last_hidden_state}


def pooled(output) -> dict[str, torch.Tensor]:
    return {"states": output.last_hidden_state, "pooled": output.pooler_output.flatten(1)}


VARIANTS = {
    "vit": Variant(
        1,
        lambda: ViTForImageClassification(ViTConfig(**VIT, **LABELS)),
        "Classification",
        vit_taps,
    ),
    "vit-encoder": Variant(
        2,
        lambda: ViTModel(ViTConfig(**VIT | {"qkv_bias": False, "hidden_act": "relu"})),
        "Encoder",
        vit_taps,
        size=(1, 32, 32),
        outputs=hidden,
    ),
    "deit": Variant(
        3,
        lambda: DeiTForImageClassification(DeiTConfig(**VIT, **LABELS)),
        "Classification",
        vit_taps,
    ),
    "deit-distilled": Variant(
        4,
        lambda: DeiTForImageClassificationWithTeacher(DeiTConfig(**VIT | {"num_hidden_layers": 1}, **LABELS)),
        "Classification",
        vit_taps,
    ),
    "resnet-basic": Variant(
        5,
        lambda: ResNetForImageClassification(
            ResNetConfig(**RESNET, hidden_sizes=[8, 16, 32], layer_type="basic", **LABELS)
        ),
        "Classification",
        resnet_taps,
        size=(2, 45, 38),
        attention=None,
    ),
    "resnet-bottleneck": Variant(
        6,
        lambda: ResNetForImageClassification(ResNetConfig(**RESNET, hidden_sizes=[32, 64, 128], **LABELS)),
        "Classification",
        resnet_taps,
        size=(1, 40, 56),
        attention=None,
    ),
    "resnet-v1": Variant(
        7,
        lambda: ResNetModel(ResNetConfig(**RESNET, hidden_sizes=[32, 64, 96], downsample_in_bottleneck=True)),
        "Encoder",
        resnet_taps,
        outputs=pooled,
        attention=None,
    ),
    "convnext": Variant(
        8,
        lambda: ConvNextForImageClassification(ConvNextConfig(**CONVNEXT, **LABELS)),
        "Classification",
        convnext_taps,
        size=(2, 64, 70),
        attention=None,
    ),
    "convnext-encoder": Variant(
        9,
        lambda: ConvNextModel(ConvNextConfig(**CONVNEXT, layer_scale_init_value=0.0)),
        "Encoder",
        convnext_taps,
        size=(1, 64, 64),
        outputs=pooled,
        attention=None,
    ),
    "convnextv2": Variant(
        10,
        lambda: ConvNextV2ForImageClassification(ConvNextV2Config(**CONVNEXT, **LABELS)),
        "Classification",
        convnext_taps,
        size=(2, 70, 64),
        attention=None,
    ),
}
