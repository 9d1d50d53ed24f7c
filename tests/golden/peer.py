"""Hugging Face transformers, running our weights: the authority on what a Llama computes."""

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.config import ModelConfig
from engine.weights import Weights


def to_transformers(config: ModelConfig, weights: Weights) -> LlamaForCausalLM:
    """A LlamaForCausalLM that holds these weights under the same names."""
    theirs = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=config.d_model,
            intermediate_size=config.d_ff,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            head_dim=config.head_dim,
            vocab_size=config.vocab_size,
            rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=config.tied_head,
            max_position_embeddings=8192,
            attn_implementation="eager",
        )
    )
    state = {name: torch.from_numpy(array) for name, array in weights.items()}
    if config.tied_head:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    theirs.load_state_dict(state, strict=True)
    return theirs.eval()


def run(theirs: LlamaForCausalLM, prompt: list[int], n: int) -> tuple[list[int], np.ndarray]:
    """n greedy tokens, and the logits `(n, vocab_size)` they were chosen from.

    Every step is computed from scratch, without a cache.
    """
    tokens, logits = list(prompt), []
    with torch.no_grad():
        for _ in range(n):
            step = theirs(torch.tensor([tokens]), use_cache=False).logits[0, -1].numpy()
            logits.append(step)
            tokens.append(int(step.argmax()))
    return tokens[len(prompt) :], np.array(logits)
