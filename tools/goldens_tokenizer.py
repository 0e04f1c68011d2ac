#!/usr/bin/env python3
"""Writes tests/goldens/tokenizers/* and tests/goldens/tokenizer_cases.json: nasty strings and what
BertTokenizerFast makes of them, for several normalizer settings, from tokenizer.json and from vocab.txt alone.

    python tools/goldens_tokenizer.py
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from transformers import AddedToken

from golden_vocab import build, save
from models import GOLDENS

# name -> (arguments of build, form of the files)
TOKENIZERS = {
    "uncased": ({}, "full"),
    "uncased-vocab-only": ({}, "vocab-only"),
    "uncased-no-config": ({}, "no-config"),
    "cased": ({"cased": True}, "full"),
    "cased-vocab-only": ({"cased": True}, "vocab-only"),
    "cased-json-lies": ({"cased": True}, "json-lies"),
    "uncased-accents": ({"strip_accents": False}, "full"),
    "uncased-accents-vocab-only": ({"strip_accents": False}, "vocab-only"),
    "cased-strip": ({"cased": True, "strip_accents": True}, "full"),
    "uncased-no-chinese": ({"chinese": False}, "vocab-only"),
    "uncased-pads": ({}, "json-pads"),
    "uncased-added": ({}, "full"),
}

CONTROL = [chr(c) for c in [*range(0x00, 0x20), 0x7F, 0x80, 0x85, 0x9F]]
SPACES = ["\u00a0", "\u1680", "\u2000", "\u2007", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]
FORMATS = ["\u00ad", "\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\u2060", "\ufeff", "\u061c", "\U000e0041"]
PRIVATE = ["\ue000", "\uf8ff", "\U000f0000", "\ufffd", "\uffff", "\ufdd0", "\U0010ffff", "\u0378"]
PUNCTUATION = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + list("€−£°½²¿¡…—–“”‘’、。「」・٪।‰№©®™±×÷§¶•")

CASES = [
    "",
    " ",
    "   ",
    "\n",
    "\t\r\n",
    ".",
    "a",
    "A",
    "?",
    "the",
    "The",
    "THE",
    "the dog",
    " the dog ",
    "the  dog",
    "the\tdog",
    "the\ndog",
    "the\r\ndog",
    "the\u00a0dog",
    "the\u3000dog",
    "unhappiness",
    "working",
    "smiths",
    "londoners",
    "parisian",
    "xyzzy",
    "qqqqqq",
    "lovely",
    "theth",
    "unlovable",
    "hello, world!",
    "don't",
    "can't won't",
    "rock'n'roll",
    "e-mail",
    "john.smith@google.com",
    "https://google.com/a?b=1#c",
    "3.14",
    "1,000.50",
    "$5",
    "5€",
    "10%",
    "a+b",
    "a<b>c",
    "x^2",
    "a_b",
    "a=b",
    "`code`",
    "~tilde~",
    "a|b",
    "50°",
    "½ cup",
    "m²",
    "−5",
    "№1",
    "©2024",
    "...",
    "…",
    "!!!",
    "?!",
    "--",
    "—",
    "a—b",
    "“quoted”",
    "‘single’",
    "¿qué?",
    "¡no!",
    "café",
    "cafe\u0301",
    "CAFÉ",
    "CAFE\u0301",
    "naïve",
    "nai\u0308ve",
    "über",
    "Über",
    "ÜBER",
    "Ångström",
    "A\u030angstro\u0308m",
    "ñandú",
    "garçon",
    "straße",
    "STRASSE",
    "STRAẞE",
    "İstanbul",
    "ISTANBUL",
    "ı",
    "ﬁre",
    "ﬀ",
    "Œuvre",
    "æther",
    "ǅ",
    "Ǆ",
    "ŉ",
    "ΟΔΟΣ",
    "ὈΔΟΣ",
    "ΣΑΣ",
    "σς",
    "Ω",
    "Ω",
    "K",
    "Å",
    "ЖЯ",
    "Ѐ",
    "e\u0301\u0302\u0303",
    "\u0301",
    "\u0301a",
    "a\u0301\u0301b",
    "Z̷̢a̴l̸g̷o̶",
    "क्षि",
    "สวัสดี",
    "สวัส",
    "ไทย",
    "שָׁלוֹם",
    "مَرْحَبًا",
    "ưở",
    "Việt Nam",
    "Vie\u0323\u0302t",
    "東京",
    "東京は大きい",
    "中国人",
    "日本語 text",
    "tokyo東京",
    "a東b",
    "東 京",
    "カタカナ",
    "ひらがな",
    "ｶﾀｶﾅ",
    "ＡＢＣ",
    "①②",
    "㍿",
    "〇",
    "𠀀",
    "豈",
    "カ\u3099",
    "ガ",
    "，。！",
    "한국",
    "서울",
    "한국어",
    "\u1112\u1161\u11ab국",
    "서울은 big",
    "ㅎㅏㄴ",
    "갂",
    "😀",
    "🎉",
    "😀😀",
    "dog😀",
    "😀dog",
    "👍🏽",
    "👨‍👩‍👧",
    "🇫🇷",
    "❤️",
    "❤",
    "a🎉",
    "☺️",
    "🏳️‍🌈",
    "\U0001f9ff",
    "[MASK]",
    "[mask]",
    "the [MASK] dog",
    "the[MASK]dog",
    "[CLS] a [SEP] b",
    "[UNK]",
    "[PAD]",
    "[unused0]",
    "[ MASK ]",
    "[[MASK]]",
    "[MASK][MASK]",
    "[MASK].",
    "[SEP",
    "##ing",
    "## ing",
    "a ##s",
    "#",
    "##",
    "x" * 99,
    "x" * 100,
    "x" * 101,
    "é" * 100,
    "e\u0301" * 60,
    "e\u0301" * 101,
    "ﷺ" * 30,
    "한" * 33,
    "한" * 34,
    "𝕏" * 100,
    "𝕏" * 101,
    "the " + "y" * 200 + " dog",
    "b" * 50 + "." + "b" * 50,
    "𝒽𝑒𝓁𝓁𝑜",
    "H₂O",
    "x²",
    "ʰ",
    "Ⅷ",
    "１２３",
    "٣",
    "a\u20dd",
    "\u0130\u0131",
    "\U00010400",
    "".join(PUNCTUATION),
    " ".join(PUNCTUATION),
    "a" + "".join(CONTROL) + "b",
    *(f"the{c}dog" for c in ["\x00", "\x01", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\x85"]),
    "|".join(SPACES),
    *(f"the{c}dog" for c in SPACES),
    *(f"the{c}dog" for c in FORMATS),
    *(f"the{c}dog" for c in PRIVATE),
    "newword",
    "a newword!",
    "xnewwordx",
    "<tag>",
    "a <tag> b",
    "a<tag>b",
    "NEWWORD",
    "<TAG>",
    "caféx caféx",
    "He said: “Maria's café in São Paulo is GREAT!” 😀 — 東京、서울.",
]

PAIRS = [("who is maria?", "Maria Garcia lives in Paris."), ("", "the dog"), ("the dog", ""), ("a [SEP] b", "東京")]


def encode(tokenizer, text: str, pair: str | None = None) -> dict:
    e = tokenizer(text, pair, return_offsets_mapping=True)
    encoding = e.encodings[0]
    result = {
        "ids": encoding.ids,
        "tokens": encoding.tokens,
        "offsets": [list(o) for o in encoding.offsets],
        "words": encoding.word_ids,
    }
    if pair is not None:
        result["type_ids"] = encoding.type_ids
        result["sequence_ids"] = encoding.sequence_ids
    return result


def main() -> None:
    folder = GOLDENS / "tokenizers"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizers = {}
    for name, (arguments, form) in TOKENIZERS.items():
        with tempfile.TemporaryDirectory() as scratch:
            tokenizer = build(scratch=Path(scratch), **arguments)
            if name == "uncased-added":
                tokenizer.add_tokens([AddedToken("newword", single_word=True), AddedToken("caféx", normalized=True)])
                tokenizer.add_tokens(
                    [AddedToken("<tag>", lstrip=True, rstrip=True, normalized=False)], special_tokens=True
                )
            tokenizers[name] = save(tokenizer, folder / name, form)

    # Folders whose files differ but whose tokenizers agree share one entry; `same_as` says which.
    cases = list(dict.fromkeys(CASES))
    by_name = {
        name: [encode(t, text) for text in cases] + [encode(t, *pair) for pair in PAIRS]
        for name, t in tokenizers.items()
    }
    results, same_as = {}, {}
    for name, encoded in by_name.items():
        twin = next((other for other, kept in results.items() if kept == encoded), None)
        if twin is None:
            results[name] = encoded
        same_as[name] = twin or name
    data = {
        "tokenizers": same_as,
        "cases": [
            {
                "text": text,
                "pair": pair,
                "results": {name: encoded[i] for name, encoded in results.items()},
            }
            for i, (text, pair) in enumerate([(c, None) for c in cases] + PAIRS)
        ],
    }
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in data["cases"])
    out = GOLDENS / "tokenizer_cases.json"
    out.write_text('{"tokenizers":' + json.dumps(same_as) + ',\n"cases":[\n' + lines + "\n]}\n")
    print(
        f"{len(cases)} strings, {len(PAIRS)} pairs, {len(tokenizers)} tokenizers, {out.stat().st_size} bytes; {same_as}"
    )


if __name__ == "__main__":
    main()
