"""A Wav2Vec2 that reads two hundred and fifty spoken words, letter by letter, trained from scratch.

    python tools/train/utterances.py --out DATA
    python tools/train/speech.py --data DATA --out DIR [--minutes N]

Again with the same --out goes on where --minutes cut it off. The waveform encoder is Wav2Vec2's with sizes of its own:
three convolutions with 20 ms, 40 samples apart, at first, which start as a bank of band-pass filters (32 bands on the
mel scale in three phases) in place of seven short ones, which is about half the work. Single words joined, whose place
is known, have their letters taught frame by frame before CTC finds them alone; the matrices are Muon's.

It is not there yet: 1800 steps (about thirteen minutes) leave a word error rate of 0.85 on unseen variants of eSpeak NG
and 0.98 on an unseen voice of Flite. The loss of CTC was still falling when the learning rate had run out.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from common import Muon, Run, arguments, warmup_cosine
from sounds import FRAME, Batches, Clips, frames, normalize
from torch import nn
from torch.nn import functional as F
from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

SYMBOLS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
IDS = {symbol: i for i, symbol in enumerate(SYMBOLS)}
BANDS, PHASES = 32, 3


def configuration(**sizes) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        **{
            "vocab_size": len(SYMBOLS),
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 512,
            "conv_dim": [BANDS * PHASES, 128, 128],
            "conv_kernel": [320, 8, 3],
            "conv_stride": [40, 4, 2],
            "conv_bias": True,
            "feat_extract_activation": "relu",
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "num_conv_pos_embeddings": 32,
            "num_conv_pos_embedding_groups": 4,
            "apply_spec_augment": False,
            "hidden_dropout": 0.0,
            "attention_dropout": 0.0,
            "activation_dropout": 0.0,
            "feat_proj_dropout": 0.0,
            "final_dropout": 0.0,
            "layerdrop": 0.0,
            "pad_token_id": IDS["<pad>"],
            "bos_token_id": IDS["<s>"],
            "eos_token_id": IDS["</s>"],
            "ctc_loss_reduction": "mean",
            "ctc_zero_infinity": True,
        }
        | sizes
    )


def centres() -> np.ndarray:
    """Middles of the bands in Hz, even on the mel scale."""
    mel = np.linspace(*(2595 * np.log10(1 + np.array([110, 7200]) / 700)), BANDS)
    return 700 * (10 ** (mel / 2595) - 1)


@torch.no_grad()
def start(model: Wav2Vec2ForCTC) -> None:
    """The first two convolutions as a filter bank and its smoothing. The bank stays as it is: steps of a size that suits
    the other weights turn it into noise within a hundred.
    """
    layers = model.wav2vec2.feature_extractor.conv_layers
    first, second = layers[0].conv, layers[1].conv  # [O, 1, 320], [O, O, 8]
    first.requires_grad_(False)
    middle = centres()
    t = np.arange(first.weight.shape[-1]) - first.weight.shape[-1] / 2
    for band, f in enumerate(middle):
        width = np.gradient(middle)[band]
        window = np.clip(t / (min(320, 2.2 * 16000 / width) / 2), -1, 1)
        window = 0.5 + 0.5 * np.cos(np.pi * window)
        for phase in range(PHASES):
            wave = window * np.cos(2 * np.pi * f * t / 16000 + phase * 2 * np.pi / PHASES)
            # High bands are faint in speech: 3 dB an octave more.
            wave *= (f / 500) ** 0.5 / np.sqrt((wave**2).sum()) / 4
            first.weight[band * PHASES + phase, 0] = torch.from_numpy(wave).float()
    if first.bias is not None:  # what silence looks like to the norm that follows: 26 dB under speech
        first.bias.copy_(torch.tensor([0.05, 0.05, -0.1]).repeat(BANDS))
    taps = torch.hann_window(10)[1:-1]
    for band in range(BANDS):
        ours = slice(band * PHASES, (band + 1) * PHASES)
        second.weight[band] = 0.02 * torch.randn_like(second.weight[band])
        second.weight[band, ours] += taps / taps.sum()
        onset = torch.tensor([-0.25] * 4 + [0.25] * 4)
        second.weight[BANDS + band] = 0.02 * torch.randn_like(second.weight[band])
        second.weight[BANDS + band, ours] += onset


def targets(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = [[IDS[c] for c in text.replace(" ", "|")] for text in texts]
    return torch.tensor([i for row in ids for i in row]), torch.tensor([len(row) for row in ids])


def spread(words: list[tuple], count: int) -> np.ndarray:
    """What each of `count` frames is to say where the words' places are known: their letters evenly, one after another.

    Frames between words are `|` at the end of the gap and blank before; -100 is not judged.
    """
    out = np.zeros(count, np.int64)
    for n, (begin, end, word) in enumerate(words):
        a, b = begin / FRAME, end / FRAME
        step = (b - a) / len(word)
        previous = None
        for i, letter in enumerate(word):
            first, last = a + i * step, a + (i + 1) * step
            lo, hi = round(first), max(round(first) + 1, round(last))
            out[lo:hi] = IDS[letter]
            if letter == previous and hi - lo > 1:
                out[lo] = 0
            previous = letter
        if n:
            out[max(0, round(a) - 1)] = IDS["|"]
    return out


def read(logits: torch.Tensor) -> list[str]:
    """Greedy CTC."""
    texts = []
    for row in logits.argmax(-1).tolist():
        kept = [s for i, s in enumerate(row) if i == 0 or s != row[i - 1]]
        texts.append(" ".join("".join(SYMBOLS[s] for s in kept if s > 3).replace("|", " ").split()))
    return texts


def errors(truth: list[str], heard: list[str]) -> int:
    """Words put in, left out or mistaken."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(truth, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


@torch.no_grad()
def word_error_rate(model: Wav2Vec2ForCTC, clips: Clips, keep=lambda i: True, show: int = 0) -> float:
    model.eval()
    wrong = total = 0
    for i, row in enumerate(clips.rows):
        if not keep(i):
            continue
        x = np.pad(clips[i], 2400)
        heard = read(model(torch.from_numpy(normalize(x)).float()[None]).logits)[0]
        e = errors(row["text"].split(), heard.split())
        if e and show > 0:
            print(f"  {row['voice']}: {row['text']} -> {heard}")
            show -= 1
        wrong += e
        total += len(row["text"].split())
    model.train()
    return wrong / max(1, total)


def repository(model: nn.Module, out: Path) -> None:
    """The checkpoint as `from_pretrained` wants it."""
    model.save_pretrained(out)
    Wav2Vec2FeatureExtractor(return_attention_mask=False, do_normalize=True).save_pretrained(out)
    if isinstance(model, Wav2Vec2ForCTC):
        (out / "vocab.json").write_text(json.dumps(IDS))
        tokenizer = Wav2Vec2CTCTokenizer(str(out / "vocab.json"))
        tokenizer.save_pretrained(out)


def main() -> None:
    parser = arguments(__doc__, steps=2000)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=16, help="sound in a batch")
    parser.add_argument("--style", default="layer", choices=["layer", "group"])
    parser.add_argument("--muon", type=float, default=3e-3, help="its learning rate; 0 leaves everything to AdamW")
    parser.add_argument("--rate", type=float, default=1e-3, help="AdamW's learning rate")
    parser.add_argument("--recordings", action="store_true", help="train on every second real recording too")
    parser.add_argument("--no-eval", action="store_true", help="only train")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = Wav2Vec2ForCTC(configuration(feat_extract_norm=args.style))
    start(model)

    matrices, rest = [], []
    for name, p in model.named_parameters():
        inside = "encoder.layers" in name or "projection" in name
        if p.requires_grad:
            (matrices if args.muon and inside and p.ndim == 2 else rest).append(p)
    adam = torch.optim.AdamW(rest, args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    modules = {"model": model, "adam": adam}
    rates = [(adam, args.rate)]
    if matrices:
        muon = Muon(matrices, args.muon, weight_decay=0.01)
        modules["muon"] = muon
        rates.append((muon, args.muon))

    train = Clips(args.data / "train")
    sets = [train]
    if args.recordings:
        recorded = Clips(args.data / "real")
        recorded.rows = recorded.rows[::2]
        sets.append(recorded)
    batches = Batches(sets, args.seconds)
    kernels, strides = list(model.config.conv_kernel), list(model.config.conv_stride)
    run = Run(args, modules)
    model.train()
    shown = torch.zeros(3)
    for step in run:
        done = step / args.steps
        for optimizer, rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate * warmup_cosine(step, args.steps, 40, 0.02)
        rng = np.random.default_rng([args.seed, step])
        share = 1.0 if done < 0.12 else 0.5 if done < 0.35 else 0.3
        most = 2 if done < 0.1 else 4
        waves, texts, places = batches.batch(rng, share, most, strength=min(1.0, 0.1 + 1.5 * done))
        logits = model(torch.from_numpy(waves)).logits  # [N, F, V]
        log_probs = logits.log_softmax(-1)
        count = logits.shape[1]
        assert count == frames(waves.shape[1], kernels, strides)
        ids, lengths = targets(texts)
        # Per frame, as the other loss: divided by the letters it would be ten times as strong, and CTC alone begins with
        # a long way of blanks.
        ctc = F.ctc_loss(
            log_probs.transpose(0, 1),
            ids,
            torch.full((len(texts),), count),
            lengths,
            reduction="sum",
            zero_infinity=True,
        ) / (len(texts) * count)
        guide = min(1.0, max(0.0, (0.35 - done) / 0.2))
        known = [k for k, words in enumerate(places) if words]
        if guide and known:
            even = torch.from_numpy(np.stack([spread(places[k], count) for k in known]))
            # Most frames are silence: letters count three times.
            framewise = F.cross_entropy(
                logits[known].flatten(0, 1), even.flatten(), torch.tensor([1.0] + [3.0] * (len(SYMBOLS) - 1))
            )
        else:
            framewise = torch.zeros(())
        loss = min(1.0, max(0.0, (done - 0.1) / 0.05)) * 4 * ctc + guide * framewise
        for optimizer, _ in rates:
            optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        if not math.isfinite(norm):
            continue
        for optimizer, _ in rates:
            optimizer.step()
        shown += torch.tensor([ctc.item(), framewise.item(), norm.item()])
        if (step + 1) % 25 == 0:
            mean = [f"{v:.3f}" for v in (shown / 25).tolist()]
            print(f"{step + 1} ctc {mean[0]} framewise {mean[1]} norm {mean[2]} {run.seconds:.0f} s", flush=True)
            if (step + 1) % 100 == 0:
                print("   ", " | ".join(f"{a} -> {b}" for a, b in zip(texts[:3], read(logits[:3]))), flush=True)
            shown.zero_()
    repository(model, args.out)
    if args.no_eval:
        return
    for name in ["test-espeak", "test-flite", "real"]:
        clips = Clips(args.data / name)
        keep = (lambda i: i % 2 == 1) if name == "real" and args.recordings else (lambda i: True)
        print(f"{name}: WER {word_error_rate(model, clips, keep, show=12 if run.done else 0):.4f}", flush=True)


if __name__ == "__main__":
    main()
