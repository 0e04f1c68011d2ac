"""An ARPA bigram model of what `vocabulary.py` says, for beam search: it keeps the letters to words that exist.

    python tools/train/language_model.py --out words.arpa

Bigrams by Witten and Bell's discounting; those seen once are left out.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=20_000)
    args = parser.parse_args()
    rng = random.Random("language model")
    words: Counter = Counter(dict.fromkeys(vocabulary.WORDS, 1))
    pairs: Counter = Counter()
    for i in range(args.texts):
        text = vocabulary.sentence(rng) if i % 2 else vocabulary.free(rng)
        said = ["<s>", *text.split(), "</s>"]
        words.update(said[1:])
        pairs.update(pairwise(said))
    total = sum(words.values())
    after: dict[str, Counter] = {}
    for (a, b), n in pairs.items():
        after.setdefault(a, Counter())[b] = n
    unigrams, bigrams = [], []
    for word in ["<unk>", "<s>", "</s>", *vocabulary.WORDS]:
        p = {"<unk>": 1e-7, "<s>": 1e-99}.get(word, words[word] / total)
        backoff = 1.0
        follow = after.get(word)
        if follow:
            seen = sum(follow.values()) + len(follow)  # Witten and Bell: each kind of follower once more, for new ones
            kept = {b: n / seen for b, n in follow.items() if n > 2}
            bigrams += [(math.log10(q), word, b) for b, q in sorted(kept.items())]
            left = 1 - sum(kept.values())
            backoff = left / (1 - sum(words[b] / total for b in kept))
        unigrams.append((math.log10(p), word, math.log10(backoff)))
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(bigrams)}", "", "\\1-grams:"]
    lines += [f"{p:.3f}\t{word}\t{b:.3f}" for p, word, b in unigrams]
    lines += ["", "\\2-grams:"]
    lines += [f"{p:.3f}\t{a} {b}" for p, a, b in bigrams]
    lines += ["", "\\end\\", ""]
    args.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
