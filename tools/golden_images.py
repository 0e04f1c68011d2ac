"""What the families of vision goldens share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

GOLDENS = Path(__file__).resolve().parents[1] / "tests" / "goldens" / "vision"


@dataclass
class Variant:
    seed: int
    make: Callable[[], torch.nn.Module]
    head: str  # as VisionHead in src/models/vision.rs
    taps: Callable[[torch.nn.Module], dict[str, torch.nn.Module]]  # tap name -> module
    size: tuple[int, int, int] = (2, 32, 32)  # images, height, width
    outputs: Callable = field(default=lambda output: {"logits": output.logits})
    attention: str | None = "eager"
    change: Callable[[Path], None] | None = None  # applied to the folder before it is loaded


def last_channels(value: torch.Tensor) -> torch.Tensor:
    """[B, C, H, W] -> [B, H, W, C]; anything of another rank as it is."""
    return value.permute(0, 2, 3, 1).contiguous() if value.dim() == 4 else value


def is_norm(name: str, parameter: torch.Tensor) -> bool:
    return name.endswith("weight") and parameter.dim() == 1


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Draws every parameter and every running statistic anew, so that any two that are swapped show up.

    Matrices and kernels keep activations around one.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(tensor: torch.Tensor) -> torch.Tensor:
        return torch.randn(tensor.shape, generator=generator)

    def draw(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name.endswith("running_var"):
            return 0.5 + noise(tensor).abs()
        if name.endswith(("running_mean", "bias")):
            return 0.3 * noise(tensor)
        if "layer_scale" in name or name.endswith("gamma"):
            return 0.5 + 0.2 * noise(tensor)
        if "grn" in name:
            return 0.5 * noise(tensor)
        if is_norm(name, tensor):
            return 1.0 + 0.3 * noise(tensor)
        if any(part in name for part in ("token", "position", "query_", "embeddings.weight")):
            return 0.5 * noise(tensor)
        fan_in = math.prod(tensor.shape[1:]) or 1
        gain = 1.5 if any(part in name for part in ("query", "key", "q_proj", "k_proj")) else 1.0
        return noise(tensor) * gain / math.sqrt(fan_in)

    seen: set[int] = set()
    for name, parameter in model.named_parameters():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            parameter.data.copy_(draw(name, parameter))
    names = ("running_mean", "running_var")
    frozen = ("weight", "bias")  # DETR's frozen batch norms have buffers only
    for name, buffer in model.named_buffers():
        if name.endswith(names) or (name.endswith(frozen) and buffer.dim() == 1):
            buffer.data.copy_(draw(name, buffer))
    model.eval()
