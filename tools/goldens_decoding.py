"""Goldens of decoding alone: `generate` of `transformers` on models that are a table of scores.

    python tools/goldens_decoding.py

The scores of the next token are row `(3 a + 5 b + 7 n + s) % 61` of `table.json`, where a and b are the
last two tokens (a = 0 where there is one), n the length and s the sum of the encoder's tokens. So no
arithmetic of a model is in the way: ours must agree in every token and in the sixth digit of every score.

Every case is also run with 1e-3 of noise on every score; a case whose tokens change is too close to call
and gets other prompts.
"""

import json
import math
import random
from pathlib import Path

import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, Seq2SeqLMOutput

OUT = Path(__file__).parent.parent / "tests/goldens/generation/decoding"
ROWS, VOCAB = 61, 29
EOS, PAD = 2, 1
NOISE = 1e-3


class Settings(PretrainedConfig):
    model_type = "table"


class Causal(PreTrainedModel, GenerationMixin):
    config_class = Settings
    main_input_name = "input_ids"

    def __init__(self, config, table):
        super().__init__(config)
        self.table = torch.nn.Parameter(table)
        self.noise = None

    def scores(self, ids, source=0):
        last = ids[:, -1]
        before = ids[:, -2] if ids.shape[1] > 1 else torch.zeros_like(last)
        row = (3 * before + 5 * last + 7 * ids.shape[1] + source) % ROWS
        scores = self.table[row]
        if self.noise is not None:
            scores = scores + NOISE * (2 * torch.rand(scores.shape, generator=self.noise) - 1)
        return scores[:, None, :]

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, return_dict=True, attention_mask=None, **_):
        return CausalLMOutput(logits=self.scores(input_ids))


class Encoder(torch.nn.Module):
    main_input_name = "input_ids"

    def forward(self, input_ids, attention_mask=None, return_dict=True, **_):
        return BaseModelOutput(last_hidden_state=input_ids[:, :, None].float())


class Seq2Seq(Causal):
    def __init__(self, config, table):
        super().__init__(config, table)
        self.encoder = Encoder()

    def get_encoder(self, *_args, **_kwargs):
        return self.encoder

    def prepare_inputs_for_generation(self, input_ids, encoder_outputs=None, attention_mask=None, **_):
        return {"decoder_input_ids": input_ids, "encoder_outputs": encoder_outputs}

    def forward(self, input_ids=None, decoder_input_ids=None, encoder_outputs=None, return_dict=True, attention_mask=None, **_):
        source = encoder_outputs.last_hidden_state[:, :, 0].sum(1).long()
        return Seq2SeqLMOutput(logits=self.scores(decoder_input_ids, source))


CAUSAL = [
    {},
    {"max_new_tokens": 12},
    {"max_length": 15},
    {"max_new_tokens": 12, "repetition_penalty": 1.3},
    {"max_new_tokens": 30, "repetition_penalty": 0.8},
    {"max_new_tokens": 15, "no_repeat_ngram_size": 1, "eos_token_id": None},
    {"max_new_tokens": 40, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 40, "no_repeat_ngram_size": 3},
    {"max_new_tokens": 20, "encoder_no_repeat_ngram_size": 2},
    {"max_new_tokens": 20, "encoder_repetition_penalty": 1.7},
    {"max_new_tokens": 20, "min_new_tokens": 15},
    {"max_new_tokens": 20, "min_length": 18},
    {"max_new_tokens": 20, "bad_words_ids": [[3], [5, 6], [9, 4, 7], [2], [11, 12]]},
    {"max_new_tokens": 20, "sequence_bias": [[[8], 2.0], [[8, 8], -3.0], [[4, 10], 5.0]]},
    {"max_new_tokens": 20, "suppress_tokens": [3, 4, 5, 6, 7, 8]},
    {"max_new_tokens": 20, "begin_suppress_tokens": [3, 9, 12, 20, 25, 27]},
    {"max_new_tokens": 8, "forced_eos_token_id": 2},
    {"max_new_tokens": 25, "eos_token_id": [2, 7, 9]},
    {"max_new_tokens": 30, "exponential_decay_length_penalty": [4, 1.2]},
    {"max_new_tokens": 20, "renormalize_logits": True},
    {"max_new_tokens": 20, "remove_invalid_values": True},
    {"max_new_tokens": 12, "num_beams": 2},
    {"max_new_tokens": 12, "num_beams": 4, "num_return_sequences": 4},
    {"max_new_tokens": 20, "num_beams": 3, "early_stopping": True, "num_return_sequences": 2},
    {"max_new_tokens": 20, "num_beams": 3, "early_stopping": "never", "num_return_sequences": 3},
    {"max_new_tokens": 20, "num_beams": 3, "early_stopping": "never", "length_penalty": -1.0},
    {"max_new_tokens": 20, "num_beams": 4, "length_penalty": 2.0, "num_return_sequences": 2},
    {"max_new_tokens": 20, "num_beams": 4, "length_penalty": 0.0},
    {"max_new_tokens": 20, "num_beams": 4, "length_penalty": -0.7},
    {"max_new_tokens": 20, "num_beams": 5, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 20, "num_beams": 4, "eos_token_id": [2, 7, 9], "num_return_sequences": 4},
    {"max_new_tokens": 20, "num_beams": 4, "renormalize_logits": True, "bad_words_ids": [[3], [5, 6]]},
    {"max_new_tokens": 20, "num_beams": 4, "eos_token_id": None},
    {"max_new_tokens": 20, "num_beams": 29},
]
SEQ2SEQ = [
    {},
    {"max_new_tokens": 15, "forced_bos_token_id": 17},
    {"max_new_tokens": 15, "num_beams": 4, "forced_bos_token_id": 17, "num_return_sequences": 3},
    {"max_length": 9, "num_beams": 4, "forced_eos_token_id": 2, "min_length": 6, "early_stopping": True},
    {"max_length": 25, "min_length": 8, "num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 3,
     "early_stopping": True, "forced_bos_token_id": 0, "forced_eos_token_id": 2, "num_return_sequences": 2},
    {"max_new_tokens": 20, "encoder_no_repeat_ngram_size": 2, "num_beams": 2},
    {"max_new_tokens": 20, "encoder_repetition_penalty": 2.0, "repetition_penalty": 1.2},
    {"max_new_tokens": 15, "begin_suppress_tokens": [2, 4, 6, 8, 10, 12], "forced_bos_token_id": 17},
    {"max_new_tokens": 15, "begin_suppress_tokens": [2, 4, 6, 8, 10, 12]},
    {"max_new_tokens": 15, "min_new_tokens": 5, "num_beams": 3, "bad_words_ids": [[1]], "renormalize_logits": True},
]
# The distribution of the first token.
SAMPLED = [
    {"top_k": 0},
    {"temperature": 0.5},
    {"top_k": 5},
    {"top_k": 0, "top_p": 0.6},
    {"top_k": 0, "top_p": 0.95, "temperature": 1.7},
    {"top_k": 0, "min_p": 0.2},
    {"top_k": 0, "typical_p": 0.5},
    {"top_k": 12, "typical_p": 0.9},
    {"top_k": 0, "epsilon_cutoff": 0.05},
    {"top_k": 0, "eta_cutoff": 0.1},
    {"temperature": 0.7, "top_k": 10, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.8, "repetition_penalty": 1.2},
    {"top_k": 3, "renormalize_logits": True, "suppress_tokens": [4, 5]},
]


def config(seq2seq):
    return Settings(
        vocab_size=VOCAB, is_encoder_decoder=seq2seq, eos_token_id=EOS, pad_token_id=PAD, bos_token_id=0,
        decoder_start_token_id=EOS if seq2seq else None, max_position_embeddings=64,
    )


def run(model, prompt, source, kwargs, noise=None):
    model.noise = noise
    kwargs = dict(kwargs, output_scores=True, return_dict_in_generate=True, use_cache=False)
    ids = torch.tensor([prompt if source is None else source])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **kwargs)
    beams = kwargs.get("num_beams", 1) > 1
    logs = model.compute_transition_scores(
        out.sequences, tuple(torch.log_softmax(s, -1) for s in out.scores) if not beams else out.scores,
        out.beam_indices if beams else None,
    )
    # Python's transition scores of beams are undefined after the end; keep those of real tokens.
    lengths = (out.beam_indices >= 0).sum(1).tolist() if beams else [logs.shape[1]]
    return {
        "sequences": out.sequences.tolist(),
        "scores": out.sequences_scores.tolist() if beams else None,
        "logprobs": [[x if math.isfinite(x) else None for x in row[:n].tolist()] for row, n in zip(logs, lengths)],
    }


def main():
    torch.manual_seed(5)
    table = torch.randn(ROWS, VOCAB) * 2
    # An end of text now and then.
    table[:, EOS] += 0.8
    rows = [[round(x, 3) for x in row] for row in table.tolist()]
    table = torch.tensor(rows)
    rng = random.Random(1)
    cases = []
    with torch.no_grad():
        for name, cls, list_ in [("causal", Causal, CAUSAL), ("seq2seq", Seq2Seq, SEQ2SEQ)]:
            model = cls(config(name == "seq2seq"), table).eval()
            model.generation_config = GenerationConfig.from_model_config(model.config)
            for kwargs in list_:
                prompts, sources, results = [], [], []
                while len(prompts) < 3:
                    text = [rng.randrange(3, VOCAB) for _ in range(rng.randrange(1, 9))]
                    prompt, source = (text, None) if name == "causal" else ([EOS], text)
                    result = run(model, prompt, source, kwargs)
                    noisy = [run(model, prompt, source, kwargs, torch.Generator().manual_seed(i)) for i in range(4)]
                    if any(n["sequences"] != result["sequences"] for n in noisy):
                        continue
                    prompts.append(prompt)
                    sources.append(source)
                    results.append(result)
                cases.append({"model": name, "kwargs": kwargs, "prompts": prompts, "sources": sources, "results": results})
        model = Causal(config(False), table).eval()
        model.generation_config = GenerationConfig.from_model_config(model.config)
        sampled = []
        for kwargs in SAMPLED:
            prompt = [rng.randrange(3, VOCAB) for _ in range(5)]
            ids = torch.tensor([prompt])
            torch.manual_seed(0)
            out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, max_new_tokens=1, use_cache=False,
                                 output_scores=True, return_dict_in_generate=True, **kwargs)
            p = torch.softmax(out.scores[0][0], -1)
            sampled.append({"kwargs": kwargs, "prompt": prompt, "probabilities": p.tolist()})
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "table.json").write_text("[" + ",\n".join(json.dumps(row) for row in rows) + "]\n")
    (OUT / "cases.json").write_text(json.dumps({"cases": cases, "sampled": sampled}, indent=None) + "\n")


if __name__ == "__main__":
    main()
