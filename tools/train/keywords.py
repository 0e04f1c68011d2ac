"""A keyword classifier for one second of sound, on top of the encoder that `speech.py` trained.

    python tools/train/keywords.py --data DATA --speech DIR --out DIR [--minutes N]

Knows the digits, sixteen commands, "unknown" for any other word and "silence" for none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from common import Muon, Run, arguments, warmup_cosine
from sounds import RATE, Clips, disturb, noise, normalize, resample
from speech import repository
from torch.nn import functional as F
from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification
from vocabulary import KEYWORDS

LABELS = [word.lower() for word in KEYWORDS] + ["unknown", "silence"]
UNKNOWN, SILENCE = len(KEYWORDS), len(KEYWORDS) + 1


def label(text: str) -> int:
    return KEYWORDS.index(text) if text in KEYWORDS else UNKNOWN


def place(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """A second with `sound` somewhere in it; of a longer one, the middle."""
    out = np.zeros(RATE, np.float32)
    if len(sound) > RATE:
        return sound[(len(sound) - RATE) // 2 :][:RATE]
    at = int(rng.integers(0, RATE - len(sound) + 1))
    out[at : at + len(sound)] = sound
    return out


class Seconds:
    """Seconds of sound to train on: half keywords, the rest other words, pieces of words, and noise."""

    def __init__(self, sets: list[Clips]):
        self.words: dict[int, list[tuple[Clips, int]]] = {}
        for clips in sets:
            for i, row in enumerate(clips.rows):
                if " " not in row["text"]:
                    copies = 1 if "espeak" in row["voice"] else 3
                    self.words.setdefault(label(row["text"]), []).extend([(clips, i)] * copies)

    def draw(self, rng: np.random.Generator, which: int) -> np.ndarray:
        clips, i = self.words[which][rng.integers(len(self.words[which]))]
        return resample(clips[i], rng.uniform(0.82, 1.25))

    def one(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        kind = rng.random()
        if kind < 0.06:
            return noise(rng, RATE, np.zeros(RATE)).astype(np.float32) * (rng.random() < 0.8), SILENCE
        if kind < 0.35:
            sound = self.draw(rng, UNKNOWN)
            if rng.random() < 0.3:  # what a window over running speech sees
                sound = np.concatenate([sound, self.draw(rng, UNKNOWN)])
            if rng.random() < 0.15:
                sound = sound[: len(sound) // 2]
            return place(rng, sound), UNKNOWN
        which = int(rng.integers(UNKNOWN))
        return place(rng, self.draw(rng, which)), which

    def batch(self, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        waves, labels = zip(*(self.one(rng) for _ in range(size)), strict=True)
        waves = [x * (0.1 / (x.std() + 1e-6)) for x in waves]
        for k, x in enumerate(waves):
            others = 0 * x if labels[k] == SILENCE else np.roll(waves[k - 1], rng.integers(RATE))
            waves[k] = disturb(rng, x, others, strength=0.7)
        return torch.from_numpy(np.stack(waves)), torch.tensor(labels)


@torch.no_grad()
def accuracy(model: Wav2Vec2ForSequenceClassification, clips: Clips, show: int = 0) -> tuple[float, float]:
    """Of all single words, and of the keywords among them."""
    model.eval()
    right: dict[bool, list[bool]] = {True: [], False: []}
    for i, row in enumerate(clips.rows):
        if " " in row["text"]:
            continue
        rng = np.random.default_rng(i)
        x = place(rng, clips[i])
        x = x + 1e-4 * rng.standard_normal(RATE)
        heard = int(model(torch.from_numpy(normalize(x)).float()[None]).logits.argmax())
        truth = label(row["text"])
        right[truth != UNKNOWN].append(heard == truth)
        if heard != truth and show > 0:
            print(f"  {row['voice']}: {row['text']} -> {LABELS[heard]}")
            show -= 1
    model.train()
    every = right[True] + right[False]
    return sum(every) / max(1, len(every)), sum(right[True]) / max(1, len(right[True]))


def main() -> None:
    parser = arguments(__doc__, steps=500)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True, help="the checkpoint to start from")
    parser.add_argument("--rate", type=float, default=1e-3)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    config = Wav2Vec2Config.from_pretrained(
        args.speech,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
        classifier_proj_size=160,
    )
    model = Wav2Vec2ForSequenceClassification.from_pretrained(args.speech, config=config)
    model.freeze_feature_encoder()
    matrices = [p for p in model.wav2vec2.encoder.layers.parameters() if p.ndim == 2]
    muon = Muon(matrices, args.rate * 2, weight_decay=0.01)
    inside = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in inside]
    adam = torch.optim.AdamW(rest, args.rate, weight_decay=0.01)
    seconds = Seconds([Clips(args.data / "train")])
    run = Run(args, {"model": model, "adam": adam, "muon": muon})
    model.train()
    shown = [0.0, 0.0]
    for step in run:
        for optimizer, rate in [(adam, args.rate), (muon, 2 * args.rate)]:
            for group in optimizer.param_groups:
                group["lr"] = rate * warmup_cosine(step, args.steps, 30, 0.02)
        waves, labels = seconds.batch(np.random.default_rng([args.seed, step]), 32)
        logits = model(waves).logits
        loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        adam.step()
        muon.step()
        shown[0] += loss.item()
        shown[1] += (logits.argmax(-1) == labels).float().mean().item()
        if (step + 1) % 25 == 0:
            print(f"{step + 1} loss {shown[0] / 25:.3f} accuracy {shown[1] / 25:.3f} {run.seconds:.0f} s", flush=True)
            shown = [0.0, 0.0]
    repository(model, args.out)
    for name in ["test-words", "real"]:
        every, keywords = accuracy(model, Clips(args.data / name), show=12 if run.done else 0)
        print(f"{name}: accuracy {every:.4f}, of keywords {keywords:.4f}", flush=True)


if __name__ == "__main__":
    main()
