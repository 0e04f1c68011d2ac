#!/usr/bin/env python3
"""Makes the models of the benchmark: seeded random weights at real configurations, for us and for the peers.

    python bench/export/export_onnx.py --out target/bench-models [--only NAME] [--tokenizer DIR]

<out>/<name>/ has config.json, the files of its tokenizer or processor and model.safetensors (what tareas loads)
and onnx/model.onnx, onnx/model_quantized.onnx and for text onnx/model_q4.onnx: the same weights as the hub's ONNX
repositories hold them, so that onnxruntime-web and transformers.js load them from a local server. q8 and q4 are made
as transformers.js's own conversion does: dynamic quantization with 8-bit weights per tensor, and MatMulNBits with
symmetric blocks of 32. --tokenizer is any folder with the tokenizer of bert-base-uncased (all-MiniLM-L6-v2 has it).

A family is a file beside this one with a table of `common.Model`.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import warnings
from pathlib import Path

import audio
import common
import generation
import text
import vision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="folder with the tokenizer of bert-base-uncased")
    parser.add_argument("--only", action="append", help="a model's name; again for more of them")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)

    models = {**text.models(args.tokenizer), **vision.MODELS, **audio.MODELS, **generation.MODELS}
    if unknown := set(args.only or []) - set(models):
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(models)}")
    for name in args.only or models:
        out = args.out / name
        shutil.rmtree(out, ignore_errors=True)
        (out / "onnx").mkdir(parents=True)
        model = common.seeded(models[name].make)
        model.save_pretrained(out)
        (out / "model.safetensors").chmod(0o644)
        models[name].files(out)
        print(name, flush=True)
        for graph in models[name].graphs(model):
            common.export(graph, out / "onnx")
            common.check(graph, out / "onnx")


if __name__ == "__main__":
    main()
