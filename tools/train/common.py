"""What the training scripts share: a run in pieces, the learning rate's course, the Muon optimizer."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch


def arguments(doc: str, steps: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, and of its data and checkpoint")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--minutes", type=float, help="of CPU time; the next start goes on from there")
    parser.add_argument("--seed", type=int, default=7)
    return parser


class Run:
    """Counts steps and seconds (of the CPU: machines are shared) of a training that may be stopped and started again.

    `for step in run:` yields the steps that are left, seeds torch with each step's number (so that a resumed run
    draws what an uninterrupted one would) and saves whenever time is up. `run.done` tells whether all were taken.
    """

    def __init__(self, args: argparse.Namespace, modules: dict[str, torch.nn.Module | torch.optim.Optimizer]):
        self.args, self.modules = args, modules
        self.path = args.out / "checkpoint.pt"
        self.step, self.seconds = 0, 0.0
        args.out.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.step, self.seconds = state["step"], state["seconds"]
            for name, module in modules.items():
                module.load_state_dict(state[name])
            print(f"goes on at step {self.step}", flush=True)

    def save(self) -> None:
        state = {name: module.state_dict() for name, module in self.modules.items()}
        torch.save(state | {"step": self.step, "seconds": self.seconds}, self.path)

    def __iter__(self):
        begin, before = time.process_time(), self.seconds
        while self.step < self.args.steps:
            if self.args.minutes and self.seconds - before > self.args.minutes * 60:
                break
            torch.manual_seed(self.args.seed * 1_000_003 + self.step)
            yield self.step
            self.step += 1
            self.seconds = before + time.process_time() - begin
        self.save()

    @property
    def done(self) -> bool:
        return self.step >= self.args.steps


def warmup_cosine(step: int, steps: int, warmup: int, floor: float = 0.0) -> float:
    """Factor of the learning rate: linear to 1 in `warmup` steps, then a half cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan et al., 2024), for matrices. About twice as far per token as
    AdamW on these small models. torch has one of its own, in bfloat16, which is ten times slower on CPUs without it.
    """

    def __init__(self, params, lr: float = 5e-3, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(p.shape, []).append(p)
            for shape, params in alike.items():
                updates = []
                for p in params:
                    buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    buffer.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(buffer, group["momentum"]))
                scale = 0.2 * max(shape) ** 0.5  # the size of an AdamW update, so that both take the same rate
                for p, update in zip(params, orthogonal(torch.stack(updates))):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def orthogonal(x: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """[N, A, B] -> its singular values driven to about 1, by Newton-Schulz of fifth order."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x
