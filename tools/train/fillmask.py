"""Fill-mask: a MiniLM encoder with a language modelling head, trained on the descriptions of Debian's packages.

    python tools/train/packages.py --out DATA
    python tools/train/fillmask.py --data DATA --out DIR [--minutes N]

Writes DIR/model: BertForMaskedLM, its decoder tied to the embeddings. MiniLM comes without such a head, so the head
begins as the identity with the words' frequencies as bias. Training hides a quarter of the pieces; the test hides one
word of each held-out text, a word (letters only) that is one piece, and asks whether it is among the first five.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from transformers import BertForMaskedLM, BertTokenizerFast

import minilm
from common import Run, arguments, warmup_cosine

LAYERS, VOCAB, LENGTH, WORDS, BATCH = 3, 6016, 256, 24, 24
RATE = 0.25


def texts(data: Path) -> dict[str, list[str]]:
    """Paragraphs, cut to 24 words; each once a source package."""
    out: dict[str, dict[str, None]] = {"train": {}, "test": {}}
    for line in open(data / "packages.jsonl"):
        r = json.loads(line)
        split = "train" if r["split"] == "train" else "test"
        for paragraph in r["paragraphs"]:
            words = paragraph.split()
            if len(words) >= 8 and words[0][0].isalpha():
                out[split][" ".join(words[:WORDS])] = None
    return {split: list(texts) for split, texts in out.items()}


def cloze(tokenizer: BertTokenizerFast, texts: list[str], count: int) -> list[dict]:
    """One hidden word a text: { text with [MASK], word }."""
    out, draw = [], random.Random(1)
    vocab = tokenizer.get_vocab()
    for text in draw.sample(texts, len(texts)):
        words = text.split()
        fit = [i for i, w in enumerate(words) if w.isalpha() and w.lower() in vocab]
        if fit and len(out) < count:
            at = draw.choice(fit)
            out.append({"text": " ".join(words[:at] + ["[MASK]"] + words[at + 1 :]), "label": words[at].lower()})
    return out


def main() -> None:
    parser = arguments(__doc__, steps=440)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=4e-4)
    args = parser.parse_args()

    data = texts(args.data)
    folder = args.out / "model"
    source = minilm.fetch(args.data)
    if not (args.out / "pieces.json").exists():
        ids = minilm.prune_tokenizer(source, data["train"], VOCAB, LENGTH, folder)
        (args.out / "pieces.json").write_text(json.dumps(ids))
    ids = json.loads((args.out / "pieces.json").read_text())
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    torch.manual_seed(args.seed)
    model = BertForMaskedLM(
        minilm.config(ids, LAYERS, LENGTH, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    )
    head = model.cls.predictions
    chosen = data["train"]
    cached = args.out / "ids.pt"
    if not cached.exists():
        torch.save(tokenizer(chosen, truncation=True, max_length=40, return_attention_mask=False)["input_ids"], cached)
    rows = torch.load(cached)
    lengths = [len(r) for r in rows]
    flat = torch.tensor([i for r in rows for i in r])
    minilm.cut_encoder(source, ids, LAYERS, LENGTH, model.bert)
    torch.nn.init.eye_(head.transform.dense.weight)
    counts = torch.bincount(flat, minlength=len(ids)).float() + 1
    with torch.no_grad():
        head.bias.copy_((counts / counts.sum()).log())

    own = [p for n, p in head.named_parameters() if "decoder.weight" not in n]
    encoder = [p for n, p in model.bert.named_parameters() if "embeddings" not in n]
    embeddings = [p for n, p in model.bert.named_parameters() if "embeddings" in n]
    adam = torch.optim.AdamW(
        [{"params": encoder}, {"params": embeddings}, {"params": own}], betas=(0.9, 0.98), weight_decay=0.01
    )
    run = Run(args, {"model": model, "adam": adam})
    print(f"{len(rows)} texts of train ({len(flat)} pieces), {len(data['test'])} of test", flush=True)

    mask = tokenizer.mask_token_id
    batches = minilm.like_lengths(lengths, BATCH, args.seed)
    mean = 0.0
    for step in run:
        batch = [rows[i] for i in batches[step % len(batches)]]
        x = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
        for i, row in enumerate(batch):
            x[i, : len(row)] = torch.tensor(row)
        hide = (torch.rand(x.shape) < RATE) & (x > mask)
        rate = warmup_cosine(step, args.steps, 40)
        for group, times in zip(adam.param_groups, (1, 1, 3)):
            group["lr"] = args.rate * rate * times
        hidden = model.bert(x.masked_fill(hide, mask), attention_mask=(x > 0).long()).last_hidden_state
        loss = torch.nn.functional.cross_entropy(model.cls(hidden[hide]), x[hide])
        adam.zero_grad()
        loss.backward()
        adam.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 20 == 19:
            print(f"step {step + 1} loss {mean:.3f} {run.seconds:.0f} s", flush=True)

    model.eval()
    tests = cloze(tokenizer, data["test"], 1000)
    first = five = 0
    with torch.no_grad():
        for at in range(0, len(tests), 50):
            part = tests[at : at + 50]
            inputs = tokenizer([t["text"] for t in part], padding=True, return_tensors="pt")
            hidden = model.bert(**inputs).last_hidden_state[inputs.input_ids == mask]
            best = model.cls(hidden).topk(5).indices.tolist()
            for t, row in zip(part, best):
                word = tokenizer.convert_tokens_to_ids(t["label"])
                first, five = first + (row[0] == word), five + (word in row)
    rates = f"first {first / len(tests):.3f}, among five {five / len(tests):.3f}"
    print(f"{run.seconds:.0f} s; held out, {len(tests)} words: {rates}")
    if run.done:
        model.save_pretrained(folder)
        with open(args.out / "test.jsonl", "w") as file:
            file.writelines(json.dumps(t) + "\n" for t in tests)


if __name__ == "__main__":
    main()
