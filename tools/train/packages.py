"""Text to learn from: the descriptions of Debian's packages, one record a package, split by source package.

    python tools/train/packages.py --out DIR [--lists DIR]

Writes DIR/packages.jsonl: { name, source, section, synopsis, paragraphs, split }. The lists are those of the Debian
release the machine runs; `apt-get update` fetches them with the English translations into DIR/lists, apart from the
machine's own. Every description is under the licence of its package (all of them free by Debian's guidelines, main
only), so a model trained on them learns from texts of some thirty thousand authors under as many licences.

`split` is chosen by a hash of the source package's name without its version numbers, so that gcc-12 and gcc-13 fall on
the same side: 90 % train, 5 % valid, 5 % test. What stands in train word for word is taken out of the other two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
from pathlib import Path


def fetch_lists(lists: Path) -> None:
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::Lists={lists.resolve()}", "Acquire::Languages=en"]
    subprocess.run(["apt-get", "--quiet", "update"] + [part for o in options for part in ("-o", o)], check=True)


def stanzas(path: Path):
    """Yields the paragraphs of a Debian control file as dictionaries; continuation lines keep their line breaks."""
    read = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True)
    for stanza in read.stdout.decode().split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith(" "):
                fields[key] += "\n" + line[1:]
            elif ":" in line:
                key, value = line.split(":", 1)
                fields[key] = value.strip()
        if fields:
            yield fields


def unwrap(description: str) -> tuple[str, list[str]]:
    """Synopsis, and the paragraphs with their line breaks undone; lines of lists (indented) stay lines of their own."""
    synopsis, *lines = description.split("\n")
    paragraphs: list[str] = []
    broken = True
    for line in lines:
        if line.strip() in ("", "."):
            broken = True
        elif broken or line.startswith(" ") or re.match(r"[-*+o] ", line):
            paragraphs.append(line.strip())
            broken = False
        else:
            paragraphs[-1] += " " + line.strip()
    return synopsis, [re.sub(r"\s+", " ", p) for p in paragraphs]


def split_of(source: str) -> str:
    stem = re.sub(r"[-.+]?\d[\d.]*", "", source)
    bucket = int(hashlib.md5(stem.encode()).hexdigest(), 16) % 20
    return {0: "test", 1: "valid"}.get(bucket, "train")


def read_packages(lists: Path) -> list[dict]:
    long = {}
    for path in sorted(lists.glob("*_main_i18n_Translation-en*")):
        for fields in stanzas(path):
            long[fields["Description-md5"]] = fields.get("Description-en", "")
    records = {}
    for path in sorted(lists.glob("*_main_binary-*_Packages*")):
        for fields in stanzas(path):
            description = long.get(fields.get("Description-md5", ""))
            if description:
                source = fields.get("Source", fields["Package"]).split(" ")[0]
                synopsis, paragraphs = unwrap(description)
                records[fields["Package"]] = {
                    "name": fields["Package"], "source": source, "section": fields.get("Section", "misc"),
                    "synopsis": synopsis, "paragraphs": paragraphs, "split": split_of(source),
                }  # fmt: skip
    return [records[name] for name in sorted(records)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lists", type=Path, help="apt lists at hand, with Translation-en")
    args = parser.parse_args()

    lists = args.lists or args.out / "lists"
    if args.lists is None:
        fetch_lists(lists)
    args.out.mkdir(parents=True, exist_ok=True)
    records = read_packages(lists)
    known = {text for r in records if r["split"] == "train" for text in (r["synopsis"], *r["paragraphs"])}
    counts = {"train": 0, "valid": 0, "test": 0}
    with open(args.out / "packages.jsonl", "w") as file:
        for record in records:
            if record["split"] != "train":
                record["paragraphs"] = [p for p in record["paragraphs"] if p not in known]
                if record["synopsis"] in known or not record["paragraphs"]:
                    continue
            counts[record["split"]] += 1
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(f"wrote {args.out / 'packages.jsonl'}: {counts}")


if __name__ == "__main__":
    main()
