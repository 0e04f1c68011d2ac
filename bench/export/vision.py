"""Vision models. Their graphs have fixed sizes, which lets onnxruntime fold more constants than it could in the hub's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from common import EAGER, SEED, Graph, Model
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    DetrConfig,
    DetrForObjectDetection,
    DetrImageProcessor,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessor,
    ResNetConfig,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    SwinConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

MIT_B4 = {"hidden_sizes": [64, 128, 320, 512], "depths": [3, 8, 27, 3]}


class Outputs(torch.nn.Module):
    """The named outputs of a model; a second input is a pixel mask."""

    def __init__(self, model: torch.nn.Module, names: list[str]):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, pixel_values: torch.Tensor, *mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self.model(pixel_values, *mask)
        return tuple(getattr(output, name) for name in self.names)


def pixels(size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(SEED))


def vision(make: Callable, processor: Callable, size: tuple[int, int], outputs: list[str], mask: bool = False) -> Model:
    def graphs(model: torch.nn.Module) -> list[Graph]:
        inputs = {"pixel_values": pixels(size)}
        if mask:  # of this size whatever the image's, as transformers.js passes it
            inputs["pixel_mask"] = torch.ones(1, 64, 64, dtype=torch.int64)
        return [Graph(Outputs(model, outputs), inputs, outputs)]

    def files(out: Path) -> None:
        processor().save_pretrained(out)

    return Model(make, graphs, files)


def labels(n: int) -> dict:
    return {"num_labels": n, **EAGER}


def detr() -> torch.nn.Module:
    backbone = ResNetConfig(out_features=["stage4"])
    config = DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone)
    return DetrForObjectDetection(DetrConfig(**{**config.to_dict(), **labels(91)}))


def mask2former() -> torch.nn.Module:
    out = [f"stage{i}" for i in range(1, 5)]
    swin = SwinConfig(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7, out_features=out)
    return Mask2FormerForUniversalSegmentation(Mask2FormerConfig(backbone_config=swin, num_labels=133))


MODELS = {
    "vit-base-224": vision(
        lambda: ViTForImageClassification(ViTConfig(**labels(1000))), ViTImageProcessor, (224, 224), ["logits"]
    ),
    "convnext-tiny-224": vision(
        lambda: ConvNextForImageClassification(ConvNextConfig(num_labels=1000)),
        lambda: ConvNextImageProcessor(size={"shortest_edge": 224}),
        (224, 224),
        ["logits"],
    ),
    "detr-resnet-50": vision(
        detr,
        lambda: DetrImageProcessor(size={"shortest_edge": 480, "longest_edge": 640}),
        (480, 640),
        ["logits", "pred_boxes"],
        mask=True,
    ),
    "segformer-b0-512": vision(
        lambda: SegformerForSemanticSegmentation(SegformerConfig(**labels(150))),
        SegformerImageProcessor,
        (512, 512),
        ["logits"],
    ),
    "glpn-mit-b4": vision(
        lambda: GLPNForDepthEstimation(GLPNConfig(**MIT_B4, **EAGER)),
        GLPNImageProcessor,
        (480, 640),
        ["predicted_depth"],
    ),
    "mask2former-swin-tiny": vision(
        mask2former,
        lambda: Mask2FormerImageProcessor(size={"height": 384, "width": 384}),
        (384, 384),
        ["class_queries_logits", "masks_queries_logits"],
    ),
}
