"""The serving code that calls the learner's cache: for this kata it is the model itself."""

import numpy as np

from engine.model import Model

CALLING_CODE = (Model.generate, Model.prefill, Model.decode_step, Model._through_layers)


def serve_in_chunks(
    model: Model, prompt, max_new_tokens: int, cache_class, chunk: int, spare_rows: int = 8
) -> list[int]:
    """`Model.generate` with the prompt prefilled `chunk` tokens at a time, as engines do
    to keep a long prompt from holding up everybody else's decode steps.

    The cache has `spare_rows` more rows than are appended; with 0 it ends up full. (The
    last token that is generated never enters it.)
    """
    config = model.config
    capacity = len(prompt) + max_new_tokens - 1 + spare_rows
    cache = cache_class(config.n_layers, config.row_width, max_seq_len=capacity, dtype=np.float32)
    for start in range(0, len(prompt), chunk):
        logits = model.prefill(prompt[start : start + chunk], cache, start)
    tokens = [int(logits.argmax())]
    while len(tokens) < max_new_tokens:
        logits = model.decode_step(tokens[-1], len(prompt) + len(tokens) - 1, cache)
        tokens.append(int(logits.argmax()))
    return tokens
