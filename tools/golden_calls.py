"""The pipeline calls recorded for each task: texts chosen for the places where implementations slip."""

from __future__ import annotations

TEXTS = {
    "plain": "Maria Garcia lives in Paris and works at Google.",
    "accents": "The café in Über-Berlin was naïve, said Anna.",
    "decomposed": "The cafe\u0301 in U\u0308ber-Berlin was nai\u0308ve, said Anna.",
    "emoji": "I love this movie 😀🎉 so much!!! 👍🏽",
    "cjk": "東京 is the capital; 서울 and 한국 too.",
    "spaces": "  The\u00a0dog\tsaw \u3000 the\u200bcat\u0085and\x0bthe bird.  ",
    "symbols": "It cost $5.00 or 5€ (50% of £10) <b>at</b> john@google.com ^_^",
    "unknown": "Ж🧿 สวัสดี ∀x∈ℝ the dog",
    "short": "no",
    "empty": "",
    "long": "The new movie was terrible and the food was great, said John Smith of London to Anna. " * 3,
}

# Texts that a [M, H] tap batch is made of; short ones, so that the files stay small.
TAP_TEXTS = ["Maria lives in Paris.", "The café 😀 was naïve, 東京!"]
TAP_PAIR = ("who lives in Paris?", "John lives in London.")


def classification(pairs: bool = True, labels: int = 3) -> list[tuple]:
    plain, short = TEXTS["plain"], TEXTS["short"]
    calls = [([TEXTS[k]], {}) for k in TEXTS if k != "long"]
    calls += [
        ([plain], {"top_k": None}),
        ([plain], {"top_k": 1}),
        ([plain], {"top_k": 2}),
        ([plain], {"top_k": labels + 5}),
        ([plain], {"top_k": None, "function_to_apply": "sigmoid"}),
        ([plain], {"top_k": None, "function_to_apply": "softmax"}),
        ([plain], {"top_k": None, "function_to_apply": "none"}),
        ([[plain, short]], {}),
        ([[plain, short, TEXTS["emoji"]]], {"top_k": 1}),
        ([[plain, short, TEXTS["emoji"]]], {"top_k": 2}),
        ([[plain]], {}),
        ([[plain, TEXTS["long"], short, ""]], {"top_k": None, "batch_size": 4, "truncation": True, "padding": True}),
        ([TEXTS["long"]], {"truncation": True}),
    ]
    if pairs:
        pair = {"text": TAP_PAIR[0], "text_pair": TAP_PAIR[1]}
        swapped = {"text": TAP_PAIR[1], "text_pair": TAP_PAIR[0]}
        calls += [
            ([pair], {}),
            ([pair], {"top_k": None}),
            ([[pair, swapped]], {}),
            ([[pair, swapped]], {"top_k": None}),
        ]
    return [("text-classification", a, k) for a, k in calls]


def zero_shot() -> list[tuple]:
    labels = ["sports", "politics", "food and music"]
    text = TEXTS["plain"]
    calls = [
        ([text, labels], {}),
        ([text, labels], {"multi_label": True}),
        ([text, ["sports"]], {}),
        ([text, "sports, politics , science"], {}),
        ([text, labels], {"hypothesis_template": "It is about {}!"}),
        ([text, labels], {"hypothesis_template": "The {} news.", "multi_label": True}),
        ([[text, TEXTS["emoji"]], labels], {}),
        ([[text], labels], {}),
        ([TEXTS["long"], labels], {}),
        ([TEXTS["cjk"], ["東京", "café", "the 😀"]], {}),
        ([text, ["red", "red", "blue"]], {}),
        ([text, labels], {"hypothesis_template": "no place for it"}),
        ([text, []], {}),
        (["", labels], {}),
    ]
    return [("zero-shot-classification", a, k) for a, k in calls]


def tagging() -> list[tuple]:
    calls = []
    for strategy in ("none", "simple", "first", "average", "max"):
        for key in ("plain", "accents", "decomposed", "emoji", "cjk", "spaces", "symbols", "unknown"):
            calls.append(([TEXTS[key]], {"aggregation_strategy": strategy}))
        calls.append(([TEXTS["plain"]], {"aggregation_strategy": strategy, "ignore_labels": []}))
        calls.append(([TEXTS["plain"]], {"aggregation_strategy": strategy, "ignore_labels": ["PER", "B-LOC", "O"]}))
        calls.append(([TEXTS["long"]], {"aggregation_strategy": strategy}))
        calls.append(([TEXTS["long"]], {"aggregation_strategy": strategy, "stride": 6}))
    calls += [
        ([TEXTS["long"]], {"aggregation_strategy": "simple", "stride": 0}),
        ([TEXTS["long"]], {"aggregation_strategy": "max", "stride": 12, "ignore_labels": []}),
        ([TEXTS["long"]], {"aggregation_strategy": "simple", "stride": 500}),
        ([[TEXTS["plain"], TEXTS["short"], TEXTS["long"]]], {"aggregation_strategy": "simple", "stride": 4}),
        ([TEXTS["plain"]], {}),
        ([[TEXTS["plain"], TEXTS["short"]]], {}),
        ([[TEXTS["plain"]]], {"aggregation_strategy": "simple"}),
        ([[TEXTS["plain"], TEXTS["emoji"], TEXTS["cjk"]]], {"aggregation_strategy": "first", "batch_size": 2}),
        ([""], {}),
        (["   "], {"aggregation_strategy": "simple"}),
    ]
    return [("token-classification", a, k) for a, k in calls]


def answering() -> list[tuple]:
    question, context = "Who lives in Paris?", TEXTS["plain"] + " " + TEXTS["accents"]
    long = " ".join(TEXTS[k] for k in ("plain", "accents", "emoji", "cjk", "symbols")) + " " + TEXTS["long"]
    q = {"question": question, "context": context}
    calls = [
        q,
        {**q, "top_k": 3},
        {**q, "top_k": 50},
        {**q, "max_answer_len": 1},
        {**q, "max_answer_len": 3, "top_k": 4},
        {**q, "max_answer_len": 100, "top_k": 2},
        {**q, "handle_impossible_answer": True},
        {**q, "handle_impossible_answer": True, "top_k": 4},
        {**q, "align_to_words": False, "top_k": 3},
        {"question": question, "context": TEXTS["plain"] + " " + TEXTS["plain"], "top_k": 8},
        {"question": question, "context": TEXTS["decomposed"], "top_k": 3},
        {"question": question, "context": TEXTS["cjk"], "top_k": 3},
        {"question": question, "context": TEXTS["spaces"], "top_k": 3},
        {"question": question, "context": TEXTS["emoji"], "top_k": 3},
        {"question": question, "context": long},
        {"question": question, "context": long, "top_k": 3},
        {"question": question, "context": long, "doc_stride": 5, "top_k": 3},
        {"question": question, "context": long, "doc_stride": 0, "top_k": 2},
        {"question": question, "context": long, "max_seq_len": 24, "doc_stride": 8, "top_k": 3},
        {
            "question": question,
            "context": long,
            "max_seq_len": 24,
            "doc_stride": 8,
            "handle_impossible_answer": True,
            "top_k": 3,
        },
        # The fast tokenizer's path ignores max_question_len; a question that leaves no room is an error.
        {
            "question": "Who lives in Paris, and who is in London?",
            "context": context,
            "max_question_len": 4,
            "doc_stride": 4,
            "top_k": 2,
        },
        {"question": "Who lives in Paris, who works at Google, and who is in London? " * 2, "context": context},
        {"question": [question, "What was naïve?"], "context": [context, TEXTS["accents"]]},
        {"question": [question, "Where is Anna?"], "context": context},
        {"question": [question], "context": [context]},
        {"question": [question, "What was naïve?"], "context": [context, long], "top_k": 2},
        {"question": question, "context": ""},
        {"question": "", "context": context},
        {"question": question, "context": "no"},
        {**q, "top_k": 0},
        {**q, "max_answer_len": 0},
        {"question": question, "context": long, "max_seq_len": 24, "doc_stride": 40},
    ]
    return [("question-answering", [], c) for c in calls]


def masking() -> list[tuple]:
    one, two = "Maria lives in [MASK] .", "[MASK] lives in [MASK]!"
    calls = [
        ([one], {}),
        ([one], {"top_k": 1}),
        ([one], {"top_k": 12}),
        ([one], {"targets": ["paris", "london", "berlin"]}),
        ([one], {"targets": "paris"}),
        ([one], {"targets": ["paris", "hyperspace", "paris"]}),
        ([one], {"targets": ["london", "##ing", "東"], "top_k": 2}),
        ([one], {"targets": ["qqq", "\u200b"]}),
        ([one], {"targets": ["\u200b"]}),
        ([one], {"targets": [""]}),
        ([two], {}),
        ([two], {"top_k": 2}),
        ([two], {"top_k": 2, "targets": ["maria", "paris"]}),
        (["The cafe\u0301 [MASK] 😀 in 東京, don't you?"], {"top_k": 3}),
        (["[MASK]"], {"top_k": 2}),
        ([[one, "the [MASK]ing dog"]], {"top_k": 2}),
        ([[one]], {"top_k": 2}),
        ([[one, two]], {"top_k": 2}),
        (["no mask here"], {}),
        (["[mask]"], {}),
        ([""], {}),
    ]
    return [("fill-mask", a, k) for a, k in calls]
