"""DETR over timm's and over transformers' own ResNet, for detection and for panoptic segmentation."""

from __future__ import annotations

import torch
from transformers import DetrConfig, DetrForObjectDetection, DetrForSegmentation, ResNetConfig

from golden_images import Variant

LABELS = {"id2label": {i: f"label {i}" for i in range(5)}, "label2id": {f"label {i}": i for i in range(5)}}
SIZES = {
    "d_model": 32,
    "num_queries": 7,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 48,
    "use_pretrained_backbone": False,
}
TIMM = {"layers": [1, 1, 2, 1], "channels": [8, 8, 12, 16]}


def timm(**arguments) -> DetrConfig:
    return DetrConfig(**SIZES | LABELS | arguments, use_timm_backbone=True, backbone="resnet50")


def own(**arguments) -> DetrConfig:
    resnet = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[12, 16, 16, 20],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return DetrConfig(
        **SIZES | LABELS | arguments, use_timm_backbone=False, backbone=None, backbone_config=resnet
    )


def taps(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    base = getattr(model, "detr", model).model
    body = base.backbone.conv_encoder.model
    taps = {}
    if hasattr(body, "layer1"):
        for s in range(1, 5):
            blocks = getattr(body, f"layer{s}")
            taps[f"backbone.layer{s}.{len(blocks) - 1}"] = blocks[-1]
    else:
        taps["backbone.embedder"] = body.embedder
        for s, stage in enumerate(body.encoder.stages):
            taps[f"backbone.encoder.stages.{s}.layers.{len(stage.layers) - 1}"] = stage.layers[-1]
    taps["input_projection"] = base.input_projection
    taps |= {f"encoder.layers.{i}": layer for i, layer in enumerate(base.encoder.layers)}
    taps |= {f"decoder.layers.{i}": layer for i, layer in enumerate(base.decoder.layers)}
    return taps | {"decoder": base.decoder.layernorm}


def detection(output) -> dict[str, torch.Tensor]:
    return {"logits": output.logits, "boxes": output.pred_boxes}


def panoptic(output) -> dict[str, torch.Tensor]:
    # masks are [B, Q, h, w] with us too: the fifth dimension keeps them as they are
    return detection(output) | {"masks": output.pred_masks[None]}


VARIANTS = {
    "detr-timm": Variant(
        21,
        lambda: DetrForObjectDetection(timm(backbone_kwargs=TIMM)),
        "Detection",
        taps,
        size=(1, 64, 90),
        outputs=detection,
    ),
    "detr-dc5": Variant(
        22,
        lambda: DetrForObjectDetection(
            timm(
                backbone_kwargs=TIMM | {"layers": [1, 1, 1, 2]},
                dilation=True,
                encoder_layers=1,
                decoder_layers=1,
            )
        ),
        "Detection",
        taps,
        size=(1, 64, 64),
        outputs=detection,
    ),
    "detr-own": Variant(
        23,
        lambda: DetrForObjectDetection(own()),
        "Detection",
        taps,
        size=(2, 40, 56),
        outputs=detection,
    ),
    "detr-panoptic": Variant(
        24,
        lambda: DetrForSegmentation(own(num_queries=18, decoder_layers=1, encoder_layers=1, encoder_attention_heads=8)),
        "Panoptic",
        taps,
        size=(2, 64, 48),
        outputs=panoptic,
    ),
}
