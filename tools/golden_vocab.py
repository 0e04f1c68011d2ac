"""The small WordPiece vocabulary and the tokenizers of the goldens."""

from __future__ import annotations

import json
import string
import unicodedata
from pathlib import Path

from transformers import AutoTokenizer, BertTokenizerFast, DistilBertTokenizerFast

SPECIAL = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

WORDS = """
the a an of to and in is was it for on that with as he she they we you i not no yes are be by at from this have has had
his her their my your our its who what when where why how which one two three new old good bad big small first last more
most very can will would do does did said say go went come came see saw get got make made know think take time year day
man woman people world life hand city river paris london berlin tokyo france germany spain maria john anna peter garcia
smith company bank google lives works born capital movie film food great terrible love hate sports politics science music
news game team player match goal market price money red blue green dog cat house tree water fire sun moon sky
""".split()
SUBWORDS = """
##s ##ing ##ed ##er ##est ##ly ##ness ##ment ##tion ##able ##ful ##less ##un ##ish ##ize ##al ##ic ##ous ##ive ##ity
##th ##en ##on ##an ##in ##or ##ar ##le ##re ##es ##land ##berg ##ton un re pre dis over out
""".split()
ACCENTED = list("éèüñçöåßøæœłıμσςδοπαωяж") + ["café", "naïve", "über"]
CJK = list("東京中国文人日本語大北") + ["カ", "タ", "の", "ひ"]
HANGUL = ["한", "국", "서", "울", "한국", "서울"]
EMOJI = ["😀", "🎉", "👍", "❤"]
OTHER = [
    "…",
    "—",
    "–",
    "“",
    "”",
    "‘",
    "’",
    "€",
    "£",
    "°",
    "½",
    "²",
    "−",
    "、",
    "。",
    "「",
    "」",
    "¿",
    "¡",
    "ﬁ",
    "i̇",
    "นี",
    "สวัส",
]


def jamo(syllables: list[str]) -> list[str]:
    """Hangul in canonical decomposition, as the uncased normalizer leaves it: bare letters and continuations."""
    letters = sorted({c for s in syllables for c in unicodedata.normalize("NFD", s)})
    return letters + ["##" + c for c in letters]


def vocabulary(cased: bool) -> list[str]:
    """About 500 tokens; the same order on every run."""
    letters = string.ascii_lowercase + (string.ascii_uppercase if cased else "")
    tokens = list(SPECIAL) + list(string.punctuation) + list(string.digits + letters)
    tokens += ["##" + c for c in string.digits + letters]
    tokens += WORDS + SUBWORDS
    if cased:
        tokens += [
            "The",
            "He",
            "She",
            "They",
            "It",
            "Paris",
            "London",
            "Berlin",
            "Tokyo",
            "France",
            "Maria",
            "John",
            "Anna",
        ]
        tokens += ["Garcia", "Google", "É", "Über", "Ñ", "Ω"]
    tokens += ACCENTED + ["##" + c for c in "éèüñçößøσςδοωж"] + ["##\u0301", "\u0301"]
    tokens += CJK + ["##" + c for c in "京国タの"] + HANGUL + ["##국", "##울"] + jamo(HANGUL)
    tokens += EMOJI + ["##🎉", "##👍"] + OTHER + ["##…", "##°", "##²"]
    return list(dict.fromkeys(tokens))


def build(
    cased: bool = False,
    strip_accents: bool | None = None,
    chinese: bool = True,
    max_length: int = 512,
    distil: bool = False,
    scratch: Path = Path("."),
) -> BertTokenizerFast:
    vocab_file = scratch / "vocab.txt"
    vocab_file.write_text("\n".join(vocabulary(cased)) + "\n", encoding="utf-8")
    kind = DistilBertTokenizerFast if distil else BertTokenizerFast
    return kind(
        str(vocab_file),
        do_lower_case=not cased,
        strip_accents=strip_accents,
        tokenize_chinese_chars=chinese,
        model_max_length=max_length,
    )


def save(tokenizer: BertTokenizerFast, out: Path, form: str = "full") -> BertTokenizerFast:
    """Writes the tokenizer files and reads them back as a user would.

    `form`: "full" is what save_pretrained writes; "vocab-only" leaves vocab.txt and tokenizer_config.json;
    "no-config" leaves vocab.txt alone; "json-lies" makes tokenizer.json lower-case what tokenizer_config.json
    keeps (the config wins); "json-pads" adds truncation and padding to tokenizer.json (ignored).
    """
    tokenizer.save_pretrained(out)
    path = out / "tokenizer.json"
    if form in ("vocab-only", "no-config"):
        path.unlink()
        (out / "special_tokens_map.json").unlink()
        config_path = out / "tokenizer_config.json"
        config = json.loads(config_path.read_text())
        config.pop("added_tokens_decoder")
        config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        if form == "no-config":
            config_path.unlink()
    elif form == "json-lies":
        data = json.loads(path.read_text())
        data["normalizer"]["lowercase"] = not data["normalizer"]["lowercase"]
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1))
    elif form == "json-pads":
        data = json.loads(path.read_text())
        data["truncation"] = {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0}
        data["padding"] = {
            "strategy": {"Fixed": 6},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        }
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1))
    else:
        data = json.loads(path.read_text())
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1))
    kind = type(tokenizer)
    return kind.from_pretrained(out) if form == "no-config" else AutoTokenizer.from_pretrained(out)
