"""Image classification: a ResNet of a million parameters that tells 29 kinds of things apart.

    python tools/train/classify.py --out DIR [--data DIR] [--minutes N]

Writes DIR/model: ResNetForImageClassification, and DIR/test.jsonl, DIR/unseen.jsonl with their raw pictures for
evaluate/images.mjs. The pictures come from pictures.py: training and test compose the same cut-outs in other sizes,
lights and places; `unseen` shows cut-outs that training never had. A ResNet because its batch norms learn several times
faster here than ConvNeXT's or ViT's layer norms, and because its body serves a detector afterwards.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from common import Run, arguments, warmup_cosine
from pictures import NAMES, objects, singles
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

SIDE, BATCH, RATE = 64, 64, 3e-3
TRAIN, TEST, UNSEEN, MARGIN = 8700, 1160, 460, 96


def network() -> ResNetForImageClassification:
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=24,
            hidden_sizes=[24, 48, 96, 192],
            depths=[2, 2, 2, 2],
            layer_type="basic",
            id2label=dict(enumerate(NAMES)),
            label2id={name: i for i, name in enumerate(NAMES)},
        )
    ).to(memory_format=torch.channels_last)


def views(pictures: np.ndarray) -> torch.Tensor:
    """uint8 [B, H, W, 3] to pixels [B, 3, SIDE, SIDE] in -1..1: another cut, mirror and light for each."""
    count = len(pictures)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    zoom = torch.empty(count, 2).uniform_(0.8, 1.05)
    mirror = torch.randint(0, 2, (count,)) * 2 - 1
    turn = torch.randn(count) * 0.1
    grid = torch.zeros(count, 2, 3)
    grid[:, 0, 0], grid[:, 1, 1] = zoom[:, 0] * mirror, zoom[:, 1]
    grid[:, 0, 1], grid[:, 1, 0] = -turn, turn
    grid[:, :, 2] = torch.empty(count, 2).uniform_(-0.15, 0.15)
    x = F.grid_sample(
        x,
        F.affine_grid(grid, (count, 3, SIDE, SIDE), align_corners=False),
        align_corners=False,
        padding_mode="reflection",
    )
    x = x * torch.empty(count, 1, 1, 1).uniform_(0.7, 1.25) + torch.empty(count, 3, 1, 1).uniform_(-0.12, 0.12)
    return x.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def straight(pictures: np.ndarray) -> torch.Tensor:
    x = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)


@torch.no_grad()
def accuracy(model: torch.nn.Module, pictures: np.ndarray, labels: np.ndarray) -> float:
    model.eval()
    right = 0
    for at in range(0, len(labels), 64):
        best = model(straight(pictures[at : at + 64])).logits.argmax(-1)
        right += int((best == torch.from_numpy(labels[at : at + 64])).sum())
    model.train()
    return right / len(labels)


def dump(path: Path, pictures: np.ndarray, labels: np.ndarray, count: int) -> None:
    """A test set for evaluate/images.mjs: the raw pictures, and a line about each."""
    picked = np.random.default_rng(0).permutation(len(labels))[:count]
    pictures[np.sort(picked)].tofile(path.with_suffix(".rgb"))
    height, width = pictures.shape[1:3]
    lines = [{"width": width, "height": height, "label": NAMES[labels[i]]} for i in np.sort(picked)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def main() -> None:
    parser = arguments(__doc__, steps=700)
    parser.add_argument("--data", type=Path, help="folder of the packages (by default within --out)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    known, unseen = objects(args.data or args.out / "packages")
    train, labels = singles(args.out / "train.npy", known, TRAIN, MARGIN, 1)
    test, test_labels = singles(args.out / "test.npy", known, TEST, MARGIN, 2)
    new, new_labels = singles(args.out / "unseen.npy", unseen, UNSEEN, MARGIN, 3)

    torch.manual_seed(args.seed)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    mean = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98), use_buffers=True
    )
    run = Run(args, {"model": model, "optimizer": optimizer, "mean": mean})
    for step in run:
        picked = torch.randint(0, TRAIN, (BATCH,)).sort().values.numpy()
        optimizer.param_groups[0]["lr"] = RATE * warmup_cosine(step, args.steps, 40)
        logits = model(views(train[picked])).logits
        loss = F.cross_entropy(logits, torch.from_numpy(labels[picked]), label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        mean.update_parameters(model)
        if step % 25 == 24:
            print(f"step {step + 1}, {run.seconds:.0f} s: loss {loss.item():.3f}", flush=True)
        if step % 150 == 149:
            print(f"  top-1 {accuracy(mean, test[:580], test_labels[:580]):.3f}", flush=True)

    final = mean.module
    print(
        f"top-1 {accuracy(final, test, test_labels):.4f} on unseen compositions, "
        f"{accuracy(final, new, new_labels):.4f} on unseen objects; {run.seconds:.0f} s"
    )
    final.eval().to(memory_format=torch.contiguous_format).save_pretrained(args.out / "model")
    half = [0.5, 0.5, 0.5]
    ViTImageProcessor(
        size={"height": SIDE, "width": SIDE}, resample=2, image_mean=half, image_std=half
    ).save_pretrained(args.out / "model")
    dump(args.out / "test.jsonl", test, test_labels, 580)
    dump(args.out / "unseen.jsonl", new, new_labels, 460)


if __name__ == "__main__":
    main()
