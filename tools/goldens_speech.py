#!/usr/bin/env python3
"""Writes pipeline.json into the speech goldens: what Python's pipelines answer for the clips. And features.json,
for audio-feature-extraction, which Python has no pipeline of: what the model gives for the beginning of a clip.

    python tools/goldens_speech.py [VARIANT ...]

Run after goldens_audio.py. Needs transformers 4.57.6. The schema is in
tests/goldens/README.md.
"""

from __future__ import annotations

import json
import sys
import warnings
import wave
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    Wav2Vec2CTCTokenizer,
    pipeline,
)

ROOT = Path(__file__).parent.parent / "tests/goldens/audio"
CTC_CALLS = [
    {},
    {"return_timestamps": "word"},
    {"return_timestamps": "char"},
    {"chunk_length_s": 0.5, "return_timestamps": "word"},
    {"chunk_length_s": 0.7, "stride_length_s": [0.2, 0.1], "return_timestamps": "char"},
    {"chunk_length_s": 0.4, "stride_length_s": 0.0},
    {"chunk_length_s": 30.0},
]
CLASS_CALLS = [{}, {"top_k": 2}, {"top_k": None}, {"function_to_apply": "sigmoid"}, {"function_to_apply": "none"}]


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


def clips() -> dict[str, np.ndarray]:
    return {path.name: samples(path) for path in sorted((ROOT / "clips").glob("*.wav"))}


def ctc(folder: Path) -> list[dict]:
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForCTC.from_pretrained(folder).eval()
    asr = pipeline("automatic-speech-recognition", model=model, tokenizer=tokenizer, feature_extractor=extractor)
    calls = []
    for name, audio in clips().items():
        for kwargs in CTC_CALLS:
            calls.append({"clip": name, "kwargs": kwargs, "result": asr(audio.copy(), **kwargs)})
        raw = {"raw": audio.copy(), "sampling_rate": 16000, "stride": (3200, 1600)}
        calls.append({"clip": name, "kwargs": {}, "stride": [3200, 1600], "result": asr(raw)})
    return calls


def classification(folder: Path) -> list[dict]:
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor)
    return [
        {"clip": name, "kwargs": kwargs, "result": classify(audio.copy(), **kwargs)}
        for name, audio in clips().items()
        for kwargs in CLASS_CALLS
    ]


def features(folder: Path, model_class: str) -> dict:
    """Codes are the quantizer's argmax, as Wav2Vec2GumbelVectorQuantizer's in evaluation."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = getattr(transformers, model_class).from_pretrained(folder).eval()
    audio = clips()["en.wav"][:6000]
    values = extractor(audio, sampling_rate=16000, return_tensors="pt").input_values
    outputs = {}
    with torch.no_grad():
        out = getattr(model, model.base_model_prefix, model)(values)
        outputs["last_hidden_state"] = out.last_hidden_state.tolist()
        if model_class.endswith("ForPreTraining"):
            logits = model.quantizer.weight_proj(out.extract_features)
            groups = model.config.num_codevector_groups
            outputs["codes"] = logits.view(logits.shape[1], groups, -1).argmax(-1).tolist()
        if model_class.endswith("ForAudioFrameClassification"):
            outputs["logits"] = model(values).logits.tolist()
    return {"clip": "en.wav", "samples": 6000, "outputs": outputs}


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    for folder in sorted(path.parent for path in ROOT.glob("*/golden.json")):
        if sys.argv[1:] and folder.name not in sys.argv[1:]:
            continue
        model_class = json.loads((folder / "golden.json").read_text())["model_class"]
        if model_class.endswith("ForCTC"):
            task, calls = "automatic-speech-recognition", ctc(folder)
        elif model_class.endswith("ForSequenceClassification"):
            task, calls = "audio-classification", classification(folder)
        else:
            found = json.dumps(features(folder, model_class), separators=(",", ":"))
            (folder / "features.json").write_text(found + "\n")
            print(folder.name, "audio-feature-extraction")
            continue
        text = json.dumps({"task": task, "calls": calls}, ensure_ascii=False, separators=(",", ":"))
        (folder / "pipeline.json").write_text(text + "\n", encoding="utf-8")
        print(folder.name, task, len(calls))


if __name__ == "__main__":
    main()
