"""Makes llama.json anew from Hugging Face transformers, the authority on what a Llama computes.

    pip install -e '.[bench]' && python tests/golden/make.py

The weights are ours (engine/weights.py), the arithmetic is theirs: nothing in the file
comes out of the code that it is compared with.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.config import ModelConfig
from engine.weights import Weights, random_weights

# One configuration per way in which Llamas differ: MHA untied, GQA tied with a head_dim of
# its own, MQA with another theta and eps.
CONFIGS = {
    "mha": ModelConfig(),
    "gqa-tied": ModelConfig(
        n_layers=2, d_model=48, n_heads=6, n_kv_heads=2, head_dim=16, d_ff=80, tied_head=True
    ),
    "mqa": ModelConfig(n_layers=3, n_kv_heads=1, rope_theta=500_000.0, norm_eps=1e-6),
}
SEEDS = (0, 1, 2)
NEW_TOKENS = 48


def prompt(config: ModelConfig, seed: int) -> list[int]:
    return [(7 * i * i + 31 * i + 11 * seed) % config.vocab_size for i in range(20)]


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


def run(theirs: LlamaForCausalLM, tokens: list[int], n: int) -> tuple[list[int], np.ndarray]:
    """n greedy tokens with every step computed from scratch, and the prompt's last logits."""
    tokens, first = list(tokens), None
    with torch.no_grad():
        for _ in range(n):
            logits = theirs(torch.tensor([tokens]), use_cache=False).logits[0, -1].numpy()
            first = logits if first is None else first
            tokens.append(int(logits.argmax()))
    return tokens[-n:], first


def main() -> None:
    golden = {}
    for name, config in CONFIGS.items():
        for seed in SEEDS:
            theirs = to_transformers(config, random_weights(config, seed))
            tokens, logits = run(theirs, prompt(config, seed), NEW_TOKENS)
            golden[f"{name}/{seed}"] = {
                "tokens": tokens,
                "logits": [round(float(x), 6) for x in logits],
            }
    path = Path(__file__).with_name("llama.json")
    path.write_text(
        json.dumps(golden)
        .replace('"mha', '\n"mha')
        .replace('"gqa', '\n"gqa')
        .replace('"mqa', '\n"mqa')
        + "\n"
    )


if __name__ == "__main__":
    main()
