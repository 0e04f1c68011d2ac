"""What the families of models have in common: the three files of the peers, and the check of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

SEED = 1234
# The eager graph is what the hub's ONNX files hold and what onnxruntime's fusions look for.
EAGER = {"attn_implementation": "eager"}


@dataclass
class Graph:
    """One ONNX graph of a model: `onnx/<name>.onnx`, `<name>_quantized.onnx` and `<name>_q4.onnx`."""

    module: torch.nn.Module  # inputs by position, outputs a tensor or a tuple of them
    inputs: dict[str, torch.Tensor]
    outputs: list[str]
    name: str = "model"
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)
    other_inputs: dict[str, torch.Tensor] | None = None  # what to check with, where sizes are free
    q4: bool = False
    opset: int = 17


@dataclass
class Model:
    """A benchmark model: `make` gives it seeded, `files` writes what stands beside its weights."""

    make: Callable[[], torch.nn.Module]
    graphs: Callable[[torch.nn.Module], list[Graph]]
    files: Callable[[Path], None]


def seeded(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    torch.manual_seed(SEED)
    model = make().eval()
    # Fresh biases are all zero and norms all one: the exporter would share them, real files do not.
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def export(graph: Graph, folder: Path) -> None:
    fp32 = folder / f"{graph.name}.onnx"
    torch.onnx.export(
        graph.module.eval(),
        tuple(graph.inputs.values()),
        str(fp32),
        input_names=list(graph.inputs),
        output_names=graph.outputs,
        dynamic_axes=graph.dynamic,
        opset_version=graph.opset,
        do_constant_folding=True,
        dynamo=False,
    )
    onnx.checker.check_model(str(fp32))
    quantize(fp32, folder / f"{graph.name}_quantized.onnx")
    if graph.q4:
        quantizer = MatMulNBitsQuantizer(onnx.load(fp32), block_size=32, is_symmetric=True, bits=4)
        quantizer.process()
        onnx.save(quantizer.model.model, folder / f"{graph.name}_q4.onnx")


def quantize(fp32: Path, path: Path) -> None:
    """As transformers.js's own conversion: dynamic, per tensor, and unsigned where there are convolutions."""
    ops = {node.op_type for node in onnx.load(fp32).graph.node}
    quantize_dynamic(
        str(fp32),
        str(path),
        per_channel=False,
        reduce_range=False,
        weight_type=QuantType.QUInt8 if "Conv" in ops else QuantType.QInt8,
        extra_options={"EnableSubgraph": True},
    )


@torch.no_grad()
def check(graph: Graph, folder: Path) -> None:
    """Prints how far each file is from PyTorch."""
    inputs = graph.other_inputs or graph.inputs
    expected = graph.module(*inputs.values())
    expected = (expected if isinstance(expected, tuple) else (expected,))[0].numpy()
    for path in sorted(folder.glob(f"{graph.name}*.onnx")):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        wanted = {value.name for value in session.get_inputs()}
        feeds = {name: value.numpy() for name, value in inputs.items() if name in wanted}
        got = session.run(None, feeds)[0]
        a, b = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (got, expected))
        cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
        off, size = np.abs(got - expected).max(), np.abs(expected).max()
        print(
            f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB, max difference {off:.3g} of {size:.3g}, mean cosine {cosine.mean():.5f}",
            flush=True,
        )
        if path.name == f"{graph.name}.onnx" and off > 1e-3 * max(1.0, size):
            raise SystemExit(f"{path} is not the same model")
