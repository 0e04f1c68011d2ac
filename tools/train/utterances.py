"""Speech to train and test on: two hundred and fifty words, spoken by Debian's free synthesizers and by one recorded voice.

    apt-get install espeak-ng flite festival festvox-kdlpc16k festvox-us-slt-hts asterisk-core-sounds-en-wav
    python tools/train/utterances.py --out DIR [--scale 1.0]

Writes sets of clips, each as NAME.pcm (16 bit, 16 kHz, end to end) and NAME.json:

    train        words on their own and utterances, by 71 variants of eSpeak NG in eight accents, by four voices of
                 Flite and by two of Festival
    test-espeak  utterances by twelve variants of eSpeak NG that `train` has not
    test-flite   utterances by a voice of Flite that `train` has not ("rms", made from a man's recordings)
    test-words   words on their own by the voices of both, half of them keywords
    real         Allison Smith's recordings of asterisk-core-sounds-en, as far as they keep to the vocabulary

No noise is in them: training adds it. Licences: the output of eSpeak NG (GPL-3), Flite and Festival (BSD-like) is
free of theirs; the recordings are CC-BY-SA-3.0, and a model trained on them names them in its card.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import vocabulary
from scipy.signal import resample_poly

RATE = 16_000
ACCENTS = "en-us en-us en-gb en-gb-x-rp en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc".split()
# Robots, whisperers and the like, which one cannot understand either.
LEFT_OUT = set("Demonic UniRobot anikaRobot whisper whisperf fast croak Tweaky Storm serious Mr".split())
UNSEEN = set("Alicia Andy Michael belinda david f5 grandpa klatt5 m7 pablo shelby quincy".split())
FLITE = "kal kal16 awb slt".split()
FLITE_UNSEEN = ["rms"]
FESTIVAL = {"ked": "voice_ked_diphone", "slt-hts": "voice_cmu_us_slt_arctic_hts"}
SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")


def variants() -> list[str]:
    """eSpeak NG's variants of a voice that are worth hearing."""
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    folder = Path(version.split("Data at:")[1].strip()) / "voices/!v"
    names = (path.name for path in folder.iterdir() if " " not in path.name and "robosoft" not in path.name)
    return sorted(set(names) - LEFT_OUT)


def decode(data: bytes) -> np.ndarray:
    """A WAV of any rate as 16 kHz, its silent ends cut off."""
    with wave.open(BytesIO(data)) as file:
        rate = file.getframerate()
        # eSpeak NG writes a header for a stream without end: take what there is.
        x = np.frombuffer(file.readframes(1 << 24), np.int16).astype(np.float32)
    if rate != RATE:
        gcd = np.gcd(rate, RATE)
        x = resample_poly(x, RATE // gcd, rate // gcd)
    blocks = np.abs(x[: len(x) // 80 * 80]).reshape(-1, 80).max(1)  # 5 ms
    loud = np.flatnonzero(blocks > 0.02 * blocks.max(initial=1))
    if len(loud) == 0:
        return np.zeros(0, np.int16)
    x = x[max(0, loud[0] - 4) * 80 : (loud[-1] + 5) * 80]
    return np.clip(x, -32768, 32767).astype(np.int16)


def espeak(variant: str, text: str, rng: random.Random) -> np.ndarray:
    voice = f"{rng.choice(ACCENTS)}+{variant}"
    options = ["-v", voice, "-s", str(rng.randint(115, 215)), "-p", str(rng.randint(15, 85))]
    said = subprocess.run(["espeak-ng", *options, "--stdout", text], capture_output=True, check=True).stdout
    return decode(said)


def flite(voice: str, text: str, rng: random.Random) -> np.ndarray:
    options = ["--setf", f"duration_stretch={rng.uniform(0.75, 1.25):.3f}"]
    if voice.startswith("kal"):  # the others have pitches of their own
        options += ["--setf", f"int_f0_target_mean={rng.uniform(80, 150):.1f}"]
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, *options, "-t", text, "-o", file.name], check=True)
        return decode(Path(file.name).read_bytes())


def festival(voice: str, texts: list[str], rng: random.Random) -> list[np.ndarray]:
    """All texts in one process: it takes a second to start."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"({FESTIVAL[voice]})"]
        for i, text in enumerate(texts):
            lines.append(f"(Parameter.set 'Duration_Stretch {rng.uniform(0.8, 1.2):.3f})")
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{text}")) "{folder}/{i}.wav" \'riff)')
        script = Path(folder) / "say.scm"
        script.write_text("\n".join(lines))
        subprocess.run(["festival", "-b", str(script)], check=True, capture_output=True)
        return [decode((Path(folder) / f"{i}.wav").read_bytes()) for i in range(len(texts))]


def texts(rng: random.Random, words: int, utterances: int) -> list[str]:
    """`words` single words, half of them drawn as often as they are said; half sentences, half free utterances."""
    alone = [w for w in vocabulary.WORDS if w not in vocabulary.GLUE]
    single = [vocabulary.word(rng) if rng.random() < 0.5 else rng.choice(alone) for _ in range(words)]
    longer = [vocabulary.sentence(rng) if i % 2 else vocabulary.free(rng) for i in range(utterances)]
    return single + longer


def keywords(rng: random.Random) -> list[str]:
    """Every keyword, and as many other words."""
    others = [w for w in vocabulary.WORDS if w not in vocabulary.KEYWORDS + vocabulary.GLUE + vocabulary.LETTERS]
    return vocabulary.KEYWORDS + rng.sample(others, len(vocabulary.KEYWORDS))


def say(kind: str, voice: str, said: list[str], seed: int) -> list[dict]:
    rng = random.Random(f"{kind} {voice} {seed}")
    spoken = [vocabulary.spoken(text) for text in said]
    if kind == "festival":
        sounds = festival(voice, spoken, rng)
    else:
        one = {"espeak": espeak, "flite": flite}[kind]
        sounds = [one(voice, text, rng) for text in spoken]
    return [{"text": text, "voice": f"{kind}/{voice}", "sound": s} for text, s in zip(said, sounds, strict=True)]


NUMBERS = {str(i): w for i, w in enumerate(vocabulary.DIGITS + vocabulary.TEENS)}
NUMBERS |= {f"{i}0": w for i, w in enumerate(vocabulary.TENS, 2)}
FILES = {  # what the names of some files do not say
    "hello-world": None,
    "digits/a-m": "A M",
    "digits/p-m": "P M",
    "letters/zed": "Z",
    "letters/asterisk": None,
    "im-sorry": None,
    "if-correct-press": None,
    "one-moment-please": None,
    "vm-and": "AND",
    "vm-delete": "DELETE",
    "vm-first": "FIRST",
    "vm-goodbye": "GOODBYE",
    "vm-last": "LAST",
    "vm-next": "NEXT",
    "vm-message": "MESSAGE",
    "vm-minutes": "MINUTES",
    "vm-no": "NO",
    "vm-press": "PRESS",
    "vm-repeat": "REPEAT",
    "vm-sorry": "SORRY",
    "vm-for": "FOR",
    "queue-minute": "MINUTE",
    "queue-minutes": "MINUTES",
    "queue-seconds": "SECONDS",
    "time": "TIME",
}


def real() -> list[dict]:
    """The recordings whose names are what they say, in words of the vocabulary."""
    known = set(vocabulary.WORDS)
    clips = []
    for path in sorted(SOUNDS.rglob("*.wav")):
        name = str(path.relative_to(SOUNDS).with_suffix(""))
        folder, _, last = name.rpartition("/")
        if name in FILES:
            text = FILES[name]
        elif folder == "digits":
            days = ["SUNDAY", *vocabulary.DAYS[:6]]
            kind, _, n = last.partition("-")
            tables = {"day": days, "mon": vocabulary.MONTHS}
            text = tables[kind][int(n)] if kind in tables else NUMBERS.get(last, last.upper())
            if kind == "h":
                text = {"1": "FIRST", "2": "SECOND", "3": "THIRD"}.get(n)
        elif folder == "phonetic":
            text = next((w for w in vocabulary.SPELLING if w[0].lower() == last[0]), None)
        else:
            text = last.upper()
        if text and set(text.split()) <= known:
            clips.append({"text": text, "voice": "real/allison", "file": name, "sound": decode(path.read_bytes())})
    return clips


def save(clips: list[dict], path: Path) -> None:
    rows, start = [], 0
    with path.with_suffix(".pcm").open("wb") as file:
        for clip in clips:
            sound = clip.pop("sound")
            if len(sound) < RATE // 10:
                continue
            file.write(sound.tobytes())
            rows.append(clip | {"start": start, "length": len(sound)})
            start += len(sound)
    path.with_suffix(".json").write_text(json.dumps(rows, indent=0) + "\n")
    print(f"{path.name}: {len(rows)} clips, {start / RATE / 60:.1f} minutes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of clips to train on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="sets to make, in place of all")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    def plan(kind: str, voices: list[str], words: int, utterances: int, scale: float = 1.0) -> list[tuple]:
        out = []
        for voice in voices:
            rng = random.Random(f"texts {kind} {voice} {args.seed}")
            out.append((kind, voice, texts(rng, int(words * scale), int(utterances * scale)), args.seed))
        return out

    seen = [v for v in variants() if v not in UNSEEN]
    sets = {
        "test-espeak": plan("espeak", sorted(UNSEEN), 5, 20),
        "test-flite": plan("flite", FLITE_UNSEEN, 60, 140),
        "test-words": [],
        "train": plan("espeak", seen, 60, 75, args.scale)
        + plan("flite", FLITE, 300, 400, args.scale)
        + plan("festival", list(FESTIVAL), 250, 250, args.scale),
    }
    for kind, voice in [("espeak", v) for v in sorted(UNSEEN)] + [("flite", v) for v in FLITE_UNSEEN * 3]:
        rng = random.Random(f"keywords {kind} {voice} {args.seed}")
        sets["test-words"].append((kind, voice, keywords(rng), args.seed + len(sets["test-words"])))
    if not args.only or "real" in args.only:
        save(real(), args.out / "real")
    with ThreadPoolExecutor(args.jobs) as pool:
        for name, jobs in sets.items():
            if args.only and name not in args.only:
                continue
            parts = pool.map(lambda job: say(*job), jobs)
            save([clip for part in parts for clip in part], args.out / name)


if __name__ == "__main__":
    main()
