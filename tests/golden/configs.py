"""The models and prompts of llama.json.

One configuration per way in which Llamas differ: MHA untied; GQA tied, with a head_dim of
its own; MQA with another theta and eps.
"""

from engine.config import ModelConfig

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
