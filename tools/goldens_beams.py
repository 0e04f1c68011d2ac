#!/usr/bin/env python3
"""Writes tests/goldens/audio/beams.json: what pyctcdecode finds for random logits.

    pip install --no-deps pyctcdecode==0.5.0 pygtrie && python tools/goldens_beams.py

pyctcdecode asks kenlm for n-gram scores; a class with the rules of ARPA files stands in for it, so that no
compiler is needed.
"""

from __future__ import annotations

import json
import logging
import sys
import types
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "tests/goldens/audio/beams.json"
LABELS = ["", " ", "A", "B", "C"]
ARPA = """\\data\\
ngram 1=7
ngram 2=4
ngram 3=1

\\1-grams:
-1.5\t<unk>\t0
-99\t<s>\t-0.5
-0.8\t</s>
-0.5\tAB\t-0.3
-0.7\tBA\t-0.2
-1.1\tABBA\t-0.1
-0.9\tA\t-0.4

\\2-grams:
-0.2\t<s> AB\t-0.1
-0.4\tAB BA\t-0.05
-0.6\tBA </s>
-0.3\tBA A\t-0.2

\\3-grams:
-0.1\t<s> AB BA

\\end\\
"""
# frames, language model, hot words, beams, alpha, beta, boundary
CASES = [
    (12, False, [], 100, 0.5, 1.5, True),
    (14, True, [], 100, 0.5, 1.5, True),
    (14, True, ["ABBA", "C"], 50, 0.5, 1.5, True),
    (20, False, ["CAB", "AB C"], 20, 0.5, 1.5, True),
    (24, True, ["CA"], 12, 0.8, 0.3, False),
    (30, True, [], 8, 1.2, -0.5, True),
]


class State:
    """The words before."""

    def __init__(self) -> None:
        self.context: tuple[str, ...] = ()


class Model:
    """The part of kenlm.Model that pyctcdecode calls."""

    def __init__(self, text: str) -> None:
        self.grams: dict[tuple[str, ...], tuple[float, float]] = {}
        self.order = 0
        for line in text.splitlines():
            if line.startswith("\\") and line.endswith("-grams:"):
                self.order = int(line[1:].split("-")[0])
            elif line and not line.startswith("\\") and self.order:
                fields = line.split()
                backoff = float(fields[1 + self.order]) if len(fields) > 1 + self.order else 0.0
                self.grams[tuple(fields[1 : 1 + self.order])] = (float(fields[0]), backoff)

    def __contains__(self, word: str) -> bool:
        return (word,) in self.grams and word != "<unk>"

    def BeginSentenceWrite(self, state: State) -> None:  # noqa: N802
        state.context = ("<s>",)

    def NullContextWrite(self, state: State) -> None:  # noqa: N802
        state.context = ()

    def BaseScore(self, state: State, word: str, out: State) -> float:  # noqa: N802
        word = word if (word,) in self.grams else "<unk>"
        score, context = 0.0, state.context
        while context + (word,) not in self.grams:
            score += self.grams.get(context, (0.0, 0.0))[1]
            context = context[1:]
        out.context = (state.context + (word,))[-(self.order - 1) :]
        return score + self.grams[context + (word,)][0]


def main() -> None:
    kenlm = types.ModuleType("kenlm")
    kenlm.State = State
    sys.modules["kenlm"] = kenlm
    logging.disable(logging.CRITICAL)
    from pyctcdecode.alphabet import Alphabet
    from pyctcdecode.decoder import BeamSearchDecoderCTC
    from pyctcdecode.language_model import LanguageModel

    model = Model(ARPA)
    unigrams = [gram[0] for gram in model.grams if len(gram) == 1 and gram[0] not in ("</s>",)]
    random = np.random.RandomState(3)
    cases = []
    for frames, lm, hotwords, beams, alpha, beta, boundary in CASES:
        logits = (random.randn(frames, len(LABELS)) * 2).astype(np.float32).round(3)
        language = LanguageModel(model, unigrams, alpha=alpha, beta=beta, score_boundary=boundary) if lm else None
        decoder = BeamSearchDecoderCTC(Alphabet(LABELS, False), language)
        found = decoder.decode_beams(logits, beam_width=beams, hotwords=hotwords)
        result = [
            {
                "text": text,
                "words": [[word, int(start), int(end)] for word, (start, end) in words],
                "logit_score": float(logit_score),
                "score": float(score),
            }
            for text, _, words, logit_score, score in found[:5]
        ]
        cases.append(
            {
                "logits": [float(x) for x in logits.reshape(-1)],
                "lm": lm,
                "hotwords": hotwords,
                "beams": beams,
                "alpha": alpha,
                "beta": beta,
                "boundary": boundary,
                "result": result,
            }
        )
    OUT.write_text(json.dumps({"arpa": ARPA, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
