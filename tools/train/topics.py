"""Topic classification: a MiniLM encoder fine-tuned to tell what a piece of software is for.

    python tools/train/packages.py --out DATA
    python tools/train/topics.py --data DATA --out DIR [--minutes N]

Writes DIR/model: BertForSequenceClassification. Debian's sections are merged into the topics below; sections that say
who uses a package or what it is made of rather than what it is about (admin, libs, doc, utils, ...) are left out. A
text is the synopsis and the description's begin, 28 words together and no name; one text for each source package and
topic.
"""

from __future__ import annotations

import collections
import json
import random
from pathlib import Path

import torch
from transformers import BertForSequenceClassification, BertTokenizerFast

import minilm
from common import Run, arguments, warmup_cosine

TOPICS = {
    "databases": "database",
    "desktop": "gnome kde xfce x11 gnustep",
    "electronics and radio": "electronics hamradio embedded",
    "fonts": "fonts",
    "games": "games",
    "graphics and video": "graphics video",
    "internet": "net web mail httpd comm news",
    "programming": "perl python golang javascript rust ruby java haskell php ocaml lisp devel vcs",
    "science and mathematics": "science math",
    "sound and music": "sound",
    "statistics": "gnu-r",
    "text and publishing": "text editors tex",
}
LAYERS, VOCAB, LENGTH, WORDS, BATCH = 3, 6016, 256, 28, 16
PER_TOPIC = {"train": 500, "test": 60}


def examples(data: Path, seed: int) -> dict[str, list[tuple[str, str]]]:
    """(text, topic) for train and test; nothing was chosen by the valid split, so it counts as test."""
    topic_of = {section: topic for topic, sections in TOPICS.items() for section in sections.split()}
    records = [json.loads(line) for line in open(data / "packages.jsonl")]
    random.Random(seed).shuffle(records)
    seen, counts = set(), collections.Counter()
    out: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for r in records:
        topic = topic_of.get(r["section"])
        split = "train" if r["split"] == "train" else "test"
        if topic is None or (r["source"], topic) in seen or counts[split, topic] == PER_TOPIC[split]:
            continue
        seen.add((r["source"], topic))
        counts[split, topic] += 1
        words = ". ".join([r["synopsis"], *r["paragraphs"]]).split()
        out[split].append((" ".join(words[:WORDS]), topic))
    return out


def main() -> None:
    parser = arguments(__doc__, steps=760)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=3e-4)
    args = parser.parse_args()

    data = examples(args.data, args.seed)
    labels = list(TOPICS)
    folder = args.out / "model"
    source = minilm.fetch(args.data)
    ids = minilm.prune_tokenizer(source, [t for t, _ in data["train"]], VOCAB, LENGTH, folder)
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    torch.manual_seed(args.seed)
    model = BertForSequenceClassification(
        minilm.config(
            ids, LAYERS, LENGTH, label2id={t: i for i, t in enumerate(labels)}, id2label=dict(enumerate(labels))
        )
    )
    minilm.cut_encoder(source, ids, LAYERS, LENGTH, model.bert)

    # The embeddings and the first layer stay as they are.
    for frozen in (model.bert.embeddings, model.bert.encoder.layer[0]):
        frozen.requires_grad_(False)
    layers = [p for p in model.bert.encoder.parameters() if p.requires_grad]
    head = [*model.bert.pooler.parameters(), *model.classifier.parameters()]
    adam = torch.optim.AdamW([{"params": layers}, {"params": head}], weight_decay=0.01)
    run = Run(args, {"model": model, "adam": adam})

    def batch(pairs: list[tuple[str, str]]) -> tuple[dict, torch.Tensor]:
        texts, topics = zip(*pairs)
        inputs = tokenizer(list(texts), truncation=True, max_length=64, padding=True, return_tensors="pt")
        return inputs, torch.tensor([labels.index(t) for t in topics])

    lengths = [len(t) for t, _ in data["train"]]
    per_epoch = len(minilm.like_lengths(lengths, BATCH, 0))
    print(f"{len(lengths)} texts of train, {len(data['test'])} of test, {per_epoch} steps an epoch", flush=True)
    mean = 0.0
    for step in run:
        epoch, at = divmod(step, per_epoch)
        inputs, goal = batch([data["train"][i] for i in minilm.like_lengths(lengths, BATCH, epoch)[at]])
        rate = warmup_cosine(step, args.steps, 30)
        adam.param_groups[0]["lr"], adam.param_groups[1]["lr"] = args.rate * rate, 4 * args.rate * rate
        model.train()
        loss = torch.nn.functional.cross_entropy(model(**inputs).logits, goal, label_smoothing=0.05)
        adam.zero_grad()
        loss.backward()
        adam.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 20 == 19:
            print(f"step {step + 1} loss {mean:.3f} {run.seconds:.0f} s", flush=True)

    model.eval()
    hits, wrong = collections.Counter(), collections.Counter()
    with torch.no_grad():
        for at in range(0, len(data["test"]), 64):
            inputs, goal = batch(data["test"][at : at + 64])
            for g, p in zip(goal.tolist(), model(**inputs).logits.argmax(1).tolist()):
                hits[labels[g]] += g == p
                wrong[labels[g]] += g != p
    print(f"{run.seconds:.0f} s; held out: accuracy {hits.total() / len(data['test']):.3f}")
    print(", ".join(f"{t} {hits[t]}/{hits[t] + wrong[t]}" for t in labels))
    if run.done:
        model.save_pretrained(folder)
        with open(args.out / "test.jsonl", "w") as file:
            for text, topic in data["test"]:
                file.write(json.dumps({"text": text, "label": topic}) + "\n")


if __name__ == "__main__":
    main()
