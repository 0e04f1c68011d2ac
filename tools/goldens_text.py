#!/usr/bin/env python3
"""Writes the BERT and DistilBERT goldens: small seeded checkpoints and what transformers computes with them.

    python tools/goldens_text.py [VARIANT ...]

Each tests/goldens/<variant>/ is a Hugging Face repository as it would come from the hub, plus
taps.safetensors (layer-by-layer tensors) and golden.json (inputs and pipeline results). The schema is in
tests/goldens/README.md. Deterministic for given library versions.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, DistilBertConfig, pipeline

from golden_calls import TAP_PAIR, TAP_TEXTS, TEXTS, answering, classification, masking, tagging, zero_shot
from golden_models import as_dtype, edit_config, input_batch, randomize, rewrite, run_taps, with_old_names
from golden_vocab import build, save, vocabulary
from models import GOLDENS

ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-X-ORG", "I-X-ORG", "MISC"]


@dataclasses.dataclass
class Variant:
    """One golden folder: how its model is made, how it is saved, which calls are recorded."""

    model: str
    """Class of transformers that is saved."""
    seed: int
    calls: list[tuple] = dataclasses.field(default_factory=list)
    config: dict = dataclasses.field(default_factory=dict)
    labels: list[str] | None = None
    cased: bool = False
    tokenizer: dict = dataclasses.field(default_factory=dict)
    form: str = "full"
    pairs: bool = True
    """Whether the tap batch has a text pair."""
    gain: float = 1.0
    changes: list = dataclasses.field(default_factory=list)
    """Functions of the tensor dictionary applied to model.safetensors after saving."""
    shard_size: str = "5GB"
    config_edits: dict = dataclasses.field(default_factory=dict)
    loads_as: str | None = None
    """Class the pipelines load, where it is not `model`."""


VARIANTS = {
    "bert-seqcls": Variant(
        "BertForSequenceClassification",
        1,
        classification(),
        labels=["negative", "neutral", "positive"],
        gain=3.0,
    ),
    "bert-seqcls-multilabel": Variant(
        "BertForSequenceClassification",
        2,
        classification(labels=4),
        {"hidden_act": "relu", "problem_type": "multi_label_classification"},
        labels=["toxic", "insult", "threat", "joke"],
        cased=True,
        form="json-lies",
        gain=3.0,
    ),
    "bert-seqcls-regression": Variant(
        "BertForSequenceClassification",
        3,
        classification(labels=1),
        {"hidden_act": "gelu_new", "problem_type": "regression", "num_labels": 1},
        form="vocab-only",
        gain=2.0,
    ),
    "bert-seqcls-onelabel": Variant(
        "BertForSequenceClassification",
        4,
        classification(labels=1),
        {"num_labels": 1},
        tokenizer={"strip_accents": False},
        form="no-config",
        gain=2.0,
    ),
    "bert-nli": Variant(
        "BertForSequenceClassification",
        5,
        zero_shot() + classification() + [("text-classification", [TEXTS["long"]], {})],
        labels=["contradiction", "neutral", "entailment"],
        config={"max_position_embeddings": 48},
        tokenizer={"max_length": 48},
        gain=4.0,
    ),
    "bert-tokcls": Variant(
        "BertForTokenClassification",
        6,
        tagging(),
        {"max_position_embeddings": 26},
        labels=ENTITIES,
        cased=True,
        tokenizer={"max_length": 26},
        pairs=False,
        gain=4.0,
    ),
    "bert-tokcls-uncased": Variant(
        "BertForTokenClassification",
        7,
        tagging(),
        {"max_position_embeddings": 40, "hidden_act": "gelu_new", "num_hidden_layers": 1},
        labels=ENTITIES,
        tokenizer={"max_length": 30},
        form="vocab-only",
        pairs=False,
        gain=4.0,
    ),
    "bert-qa": Variant(
        "BertForQuestionAnswering",
        23,
        answering(),
        {"max_position_embeddings": 40},
        tokenizer={"max_length": 40},
        gain=3.0,
    ),
    "bert-mlm": Variant(
        "BertForMaskedLM",
        9,
        masking(),
        {"hidden_act": "gelu_new", "max_position_embeddings": 64},
        gain=1.0,
    ),
    "bert-pretraining": Variant(
        "BertForPreTraining",
        10,
        masking(),
        {"num_hidden_layers": 1},
        gain=1.5,
        changes=[with_old_names],
        loads_as="BertForMaskedLM",
    ),
    "bert-nsp": Variant("BertForNextSentencePrediction", 11, gain=2.0),
    "bert-encoder": Variant(
        "BertModel",
        12,
        config={"hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 60},
        form="json-pads",
    ),
    "bert-encoder-oldnames": Variant(
        "BertModel",
        13,
        config={"hidden_act": "relu", "hidden_size": 40, "num_attention_heads": 5, "intermediate_size": 72},
        changes=[with_old_names],
        form="no-config",
    ),
    "bert-head64": Variant(
        "BertForSequenceClassification",
        14,
        classification(labels=2)[:14],
        {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 96, "num_hidden_layers": 1},
        labels=["no", "yes"],
        changes=[as_dtype(torch.float16)],
        config_edits={"dtype": "float16"},
        gain=3.0,
    ),
    "bert-bf16": Variant(
        "BertForSequenceClassification",
        15,
        classification(labels=2)[:14],
        labels=["no", "yes"],
        changes=[as_dtype(torch.bfloat16)],
        config_edits={"dtype": "bfloat16"},
        gain=3.0,
    ),
    "bert-sharded": Variant(
        "BertForMaskedLM",
        16,
        masking()[:4],
        {"max_position_embeddings": 64},
        shard_size="80KB",
    ),
    "distilbert-seqcls": Variant(
        "DistilBertForSequenceClassification",
        17,
        classification() + zero_shot(),
        labels=["ENTAILMENT", "neutral", "contradiction"],
        gain=5.0,
    ),
    "distilbert-tokcls": Variant(
        "DistilBertForTokenClassification",
        18,
        tagging(),
        {"max_position_embeddings": 26, "dim": 36, "n_heads": 3, "hidden_dim": 60},
        labels=ENTITIES,
        cased=True,
        tokenizer={"max_length": 26},
        pairs=False,
        gain=4.0,
    ),
    "distilbert-qa": Variant(
        "DistilBertForQuestionAnswering",
        19,
        answering(),
        {"max_position_embeddings": 40, "activation": "relu"},
        tokenizer={"max_length": 40},
        gain=3.0,
    ),
    "distilbert-mlm": Variant(
        "DistilBertForMaskedLM", 20, masking(), {"max_position_embeddings": 64}, form="vocab-only"
    ),
    "distilbert-encoder": Variant("DistilBertModel", 21, config={"sinusoidal_pos_embds": True, "n_layers": 1}),
}


def make_config(variant: Variant, vocab: int) -> transformers.PretrainedConfig:
    settings = dict(variant.config)
    if variant.labels:
        settings["id2label"] = dict(enumerate(variant.labels))
        settings["label2id"] = {label: i for i, label in enumerate(variant.labels)}
    if variant.model.startswith("Distil"):
        defaults = {"dim": 32, "n_heads": 2, "n_layers": 2, "hidden_dim": 64, "max_position_embeddings": 128}
        return DistilBertConfig(**{"vocab_size": vocab, "pad_token_id": 0, **defaults, **settings})
    defaults = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    }
    return BertConfig(**{"vocab_size": vocab, **defaults, **settings})


def jsonable(value):
    """Numpy scalars to Python numbers; everything else the pipelines return is JSON already."""
    if isinstance(value, dict):
        return {k: jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def record(task: str, args: list, kwargs: dict, run) -> dict:
    """Runs a call; what Python raises is recorded as `error` with its words."""
    entry = {"task": task, "args": args, "kwargs": kwargs}
    try:
        entry["result"] = jsonable(run())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic inside tokenizers is not an Exception
        entry["error"] = f"{type(error).__name__}: {error}".split("\n")[0]
    return entry


def pipeline_calls(model, tokenizer, calls: list[tuple]) -> list[dict]:
    pipes, entries = {}, []
    for task, args, kwargs in calls:
        if task not in pipes:
            pipes[task] = pipeline(task, model=model, tokenizer=tokenizer, device="cpu")
        entries.append(record(task, args, kwargs, partial(pipes[task], *args, **kwargs)))
    return entries


@torch.no_grad()
def feature_calls(model, tokenizer) -> list[dict]:
    """feature-extraction as Python has it for one text, then pooled rows, which Python leaves to the user."""
    pipe = pipeline("feature-extraction", model=model, tokenizer=tokenizer, device="cpu")
    entries = [record("feature-extraction", [text], {}, partial(pipe, text)) for text in (TAP_TEXTS[1], "")]
    texts = [TEXTS[k] for k in ("plain", "short", "emoji", "cjk", "spaces")]
    hidden = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0] for text in texts]
    for pooling, rows in (
        ("mean", torch.stack([h.mean(0) for h in hidden])),
        ("cls", torch.stack([h[0] for h in hidden])),
    ):
        for normalize in (False, True):
            values = torch.nn.functional.normalize(rows, dim=-1) if normalize else rows
            entries.append(
                record("feature-extraction", [texts], {"pooling": pooling, "normalize": normalize}, values.tolist)
            )
    return entries


@torch.no_grad()
def next_sentence_calls(model, tokenizer) -> list[dict]:
    """No pipeline in Python: logits of (is next, is not next) and their softmax."""
    pairs = [
        list(TAP_PAIR),
        list(reversed(TAP_PAIR)),
        [TEXTS["plain"], TEXTS["accents"]],
        [TEXTS["emoji"], TEXTS["cjk"]],
        ["", "no"],
    ]
    entries = []
    for first, second in pairs:
        output = model(**tokenizer(first, second, return_tensors="pt"))
        logits = output.seq_relationship_logits[0] if "seq_relationship_logits" in output else output.logits[0]
        result = {"logits": logits.tolist(), "probabilities": logits.softmax(-1).tolist()}
        entries.append(record("next-sentence-prediction", [first, second], {}, lambda result=result: result))
    return entries


def close_calls(entry: dict) -> bool:
    """True where two neighbouring scores are so near that rounding in f32 could swap them."""
    found = False

    def walk(value):
        nonlocal found
        scores = []
        if isinstance(value, list):
            scores = [v["score"] for v in value if isinstance(v, dict) and "score" in v]
            for v in value:
                walk(v)
        elif isinstance(value, dict):
            scores = value.get("scores", [])
        found |= any(0 < abs(a - b) < 1e-4 * max(a, b) for a, b in zip(scores, scores[1:]))

    # The order of entities is that of the text.
    if entry["task"] != "token-classification":
        walk(entry.get("result"))
    return found


def write_variant(name: str, variant: Variant) -> None:
    out = GOLDENS / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.manual_seed(variant.seed)

    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = build(
            cased=variant.cased, distil=variant.model.startswith("Distil"), scratch=Path(scratch), **variant.tokenizer
        )
        tokenizer = save(tokenizer, out, variant.form)
    model = getattr(transformers, variant.model)(make_config(variant, len(vocabulary(variant.cased))))
    randomize(model, variant.seed, variant.gain)
    model.save_pretrained(out, max_shard_size=variant.shard_size)
    for change in variant.changes:
        rewrite(out, change)
    edit_config(out, **variant.config_edits)

    # From here on only what was written counts, in f32.
    def load(cls: str):
        loaded, info = getattr(transformers, cls).from_pretrained(
            out, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        if info["missing_keys"] or info["mismatched_keys"] or info["error_msgs"]:
            raise SystemExit(f"{name}: {cls} did not load: {info}")
        return loaded.eval()

    saved = load(variant.model)
    batch = input_batch(tokenizer, TAP_TEXTS + ([TAP_PAIR] if variant.pairs else [TEXTS["emoji"]]))
    taps = run_taps(saved, batch)
    save_file(taps, out / "taps.safetensors")

    entries = pipeline_calls(load(variant.loads_as) if variant.loads_as else saved, tokenizer, variant.calls)
    if variant.model.endswith("Model"):
        entries += feature_calls(saved, tokenizer)
    if variant.model in ("BertForPreTraining", "BertForNextSentencePrediction"):
        entries += next_sentence_calls(saved, tokenizer)
    # Any checkpoint can serve feature extraction: the base model alone is loaded.
    if name == "bert-mlm":
        entries += feature_calls(transformers.BertModel.from_pretrained(out, add_pooling_layer=False).eval(), tokenizer)
    near = [e for e in entries if close_calls(e)]
    if near:
        print(f"{name}: scores too near each other in {[(e['args'], e['kwargs']) for e in near]}")

    golden = {
        "model_class": variant.model,
        "transformers": transformers.__version__,
        "inputs": batch,
        "pipeline": entries,
    }
    lines = ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries)
    head = json.dumps({k: v for k, v in golden.items() if k != "pipeline"}, separators=(",", ":"))
    (out / "golden.json").write_text(head[:-1] + ',"pipeline":[\n' + lines + "\n]}\n")
    for path in out.iterdir():
        path.chmod(0o644)
    size = sum(p.stat().st_size for p in out.iterdir())
    errors = sum("error" in e for e in entries)
    print(f"{name}: {len(entries)} calls ({errors} errors), {len(taps)} taps, {size // 1024} KB", flush=True)


def main() -> None:
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    for name in sys.argv[1:] or VARIANTS:
        write_variant(name, VARIANTS[name])


if __name__ == "__main__":
    main()
