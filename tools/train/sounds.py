"""Clips of `utterances.py` as batches to train on: joined, sped up, coloured, echoing, in noise."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

RATE = 16_000
FRAME = 320  # samples per frame of the models


class Clips:
    """One set: `self[i]` is the waveform of clip i, `self.rows[i]` its text and voice."""

    def __init__(self, path: Path):
        self.rows = json.loads(path.with_suffix(".json").read_text())
        self.pcm = np.memmap(path.with_suffix(".pcm"), np.int16, "r")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> np.ndarray:
        row = self.rows[i]
        x = self.pcm[row["start"] : row["start"] + row["length"]].astype(np.float32)
        return x / 32768

    def by_voice(self, keep) -> dict[str, np.ndarray]:
        """Of each voice, the clips of which `keep(row)` holds."""
        voices: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            if keep(row):
                voices.setdefault(row["voice"], []).append(i)
        return {voice: np.array(clips) for voice, clips in voices.items()}


def resample(x: np.ndarray, factor: float) -> np.ndarray:
    """`x` played `factor` times as fast, pitch and formants with it: another speaker, cheaply."""
    return np.interp(np.arange(0, len(x) - 1, factor), np.arange(len(x)), x).astype(np.float32)


def normalize(x: np.ndarray) -> np.ndarray:
    """Wav2Vec2FeatureExtractor with do_normalize."""
    return (x - x.mean()) / np.sqrt(x.var() + 1e-7)


def room(rng: np.random.Generator) -> np.ndarray:
    """An impulse response: the direct sound, then noise that dies away in 60 to 500 ms."""
    seconds = rng.uniform(0.06, 0.5)
    n = int(seconds * RATE)
    tail = rng.standard_normal(n).astype(np.float32) * np.exp(-6.9 * np.arange(n) / n).astype(np.float32)
    tail *= rng.uniform(0.1, 0.7) / np.sqrt((tail**2).sum())
    tail[: int(rng.uniform(0.001, 0.01) * RATE)] = 0
    tail[0] = 1
    return tail


def colour(rng: np.random.Generator, bins: int) -> np.ndarray:
    """A microphone's and a line's frequency response, [bins]."""
    f = np.linspace(0, RATE / 2, bins, dtype=np.float32)
    low, high = rng.uniform(40, 300), rng.uniform(3300, 8000)
    response = 1 / (1 + (low / (f + 1)) ** 4) / (1 + (f / high) ** 12)
    tilt = rng.uniform(-6, 6)  # dB from 500 Hz to 4 kHz
    return response * 10 ** (tilt / 20 * np.log2((f + 50) / 1000) / 3)


@cache
def hiss(slope: int) -> np.ndarray:
    """A minute of noise of unit power, white (0) to brown (4)."""
    spectrum = np.fft.rfft(np.random.default_rng(slope).standard_normal(60 * RATE).astype(np.float32))
    x = np.fft.irfft(spectrum / (np.arange(len(spectrum)) + 1200) ** (slope / 4)).astype(np.float32)
    return x / x.std()


def noise(rng: np.random.Generator, n: int, others: np.ndarray) -> np.ndarray:
    """Of unit power: white to brown, at times with other voices."""
    at = rng.integers(60 * RATE - n)
    x = hiss(int(rng.integers(5)))[at : at + n]
    if rng.random() < 0.3 and others.std() > 0:
        x = 0.5 * x + others / others.std()
    if rng.random() < 0.2:  # mains
        x += rng.uniform(0, 1) * np.sin(2 * np.pi * rng.choice([50, 60, 100, 120]) * np.arange(n) / RATE)
    return x / (x.std() + 1e-9)


def disturb(rng: np.random.Generator, x: np.ndarray, others: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """`x` as another microphone in another room would have it. `strength` below 1 leaves more clips as they are."""
    n = len(x)
    power = np.sqrt((x**2).mean() / max((np.abs(x) > 1e-3).mean(), 1e-3)) + 1e-9
    if rng.random() < 0.4 * strength:
        size = next_fast_len(n + RATE // 2)
        spectrum = rfft(x, size) * colour(rng, size // 2 + 1)
        if rng.random() < 0.5:
            spectrum *= rfft(room(rng), size)
        x = irfft(spectrum, size)[:n].astype(np.float32)
    loud = rng.random() < 0.7 * strength
    ratio = rng.uniform(3, 30) if loud else rng.uniform(35, 60)  # dB
    x = x + noise(rng, n, others) * (power * 10 ** (-ratio / 20))
    return normalize(x).astype(np.float32)


def frames(samples: int, kernels: list[int], strides: list[int]) -> int:
    for k, s in zip(kernels, strides, strict=True):
        samples = (samples - k) // s + 1
    return samples


class Batches:
    """Batches of about `seconds` of sound: joined words (with the place of each) or whole utterances."""

    def __init__(self, clips: list[Clips], seconds: float):
        self.clips, self.seconds = clips, seconds
        self.words, self.all = [], []
        for c, set_ in enumerate(clips):
            singles = set_.by_voice(lambda row: " " not in row["text"])
            self.words += [(c, ids) for ids in singles.values() if len(ids) > 4]
            self.all += [(c, i) for i, row in enumerate(set_.rows)]
        # A voice made from recordings is worth more than one of eSpeak's seventy-one.
        weights = np.array([1.0 if "espeak" in clips[c].rows[ids[0]]["voice"] else 6.0 for c, ids in self.words])
        self.weights = weights / weights.sum()
        weights = np.array([1.0 if "espeak" in clips[c].rows[i]["voice"] else 2.0 for c, i in self.all])
        self.every = np.cumsum(weights / weights.sum())

    def joined(self, rng: np.random.Generator, most: int) -> tuple[float, list]:
        """Up to `most` words of one voice: the speed, and where each begins in samples, the set and the clip."""
        c, ids = self.words[rng.choice(len(self.words), p=self.weights)]
        factor = rng.uniform(0.82, 1.2) if rng.random() < 0.7 else 1.0
        at, parts = 0, []
        for i in rng.choice(ids, rng.integers(1, most + 1)):
            parts.append((at, c, i))
            gap = rng.exponential(0.08) if rng.random() < 0.7 else rng.uniform(0.1, 0.5)
            at += int(self.clips[c].rows[i]["length"] / factor + min(gap, 0.6) * RATE)
        return factor, parts

    def utterance(self, rng: np.random.Generator) -> tuple[float, list]:
        c, i = self.all[np.searchsorted(self.every, rng.random())]
        factor = rng.uniform(0.82, 1.2) if rng.random() < 0.7 else 1.0
        return factor, [(0, c, i)]

    def length(self, item: tuple[float, list]) -> int:
        factor, parts = item
        at, c, i = parts[-1]
        return at + int(self.clips[c].rows[i]["length"] / factor)

    def batch(self, rng: np.random.Generator, share: float, most: int, strength: float):
        """[N, T] waveforms, the N texts, and where known the words' places [(start, end, word)] in samples.

        `share` of the clips are joined words, of up to `most` words.
        """
        pool = []
        total = 0.0
        while total < 3 * self.seconds:  # more than needed, so that the batch can be of like lengths
            item = self.joined(rng, most) if rng.random() < share else self.utterance(rng)
            pool.append(item)
            total += 0.4 + self.length(item) / RATE
        pool.sort(key=self.length)
        lengths = np.array([self.length(item) for item in pool]) / RATE + 0.4
        first = rng.integers(0, max(1, np.searchsorted(np.cumsum(lengths), total - self.seconds)))
        chosen, size = [], 0.0
        for item, length in zip(pool[first:], lengths[first:]):
            if chosen and length * (len(chosen) + 1) > self.seconds:
                break
            chosen.append(item)
            size = length
        samples = int((size + rng.uniform(0, 0.3)) * RATE) // FRAME * FRAME + 240
        waves = np.zeros((len(chosen), samples), np.float32)
        texts, places = [], []
        for k, item in enumerate(chosen):
            factor, parts = item
            shift = int(rng.uniform(0, max(1, samples - self.length(item))))
            words = []
            for at, c, i in parts:
                sound = self.clips[c][i]
                sound = resample(sound, factor) if factor != 1 else sound
                sound = sound[: samples - at - shift]
                waves[k, at + shift : at + shift + len(sound)] += sound
                words.append((at + shift, at + shift + len(sound), self.clips[c].rows[i]["text"]))
            waves[k] *= 0.1 / (waves[k].std() + 1e-6)
            texts.append(" ".join(word for _, _, word in words))
            places.append(words if " " not in words[0][2] else None)
        for k in range(len(chosen)):
            others = np.roll(waves[(k + 1) % len(chosen)], int(rng.integers(samples)))
            waves[k] = disturb(rng, waves[k], others, strength)
        return waves, texts, places
