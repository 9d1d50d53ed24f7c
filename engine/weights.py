"""ModelConfig + seed -> Weights: the same bits on every machine, named as in Hugging Face.

NumPy freezes the raw integers of a bit generator but not the distributions made from
them, so the way from integers to floats is our own, and every step of it is exact or
correctly rounded IEEE arithmetic.
"""

import math

import numpy as np

from engine.config import ModelConfig

# Parameter name, as in the state dict of `LlamaForCausalLM`, to float32 array.
Weights = dict[str, np.ndarray]


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The parameters of a model, in drawing order; matrices are `(n_out, n_in)`."""
    c = config
    table = {"model.embed_tokens.weight": (c.vocab_size, c.d_model)}
    for i in range(c.n_layers):
        layer = f"model.layers.{i}."
        table |= {
            layer + "input_layernorm.weight": (c.d_model,),
            layer + "self_attn.q_proj.weight": (c.n_heads * c.head_dim, c.d_model),
            layer + "self_attn.k_proj.weight": (c.row_width, c.d_model),
            layer + "self_attn.v_proj.weight": (c.row_width, c.d_model),
            layer + "self_attn.o_proj.weight": (c.d_model, c.n_heads * c.head_dim),
            layer + "post_attention_layernorm.weight": (c.d_model,),
            layer + "mlp.gate_proj.weight": (c.d_ff, c.d_model),
            layer + "mlp.up_proj.weight": (c.d_ff, c.d_model),
            layer + "mlp.down_proj.weight": (c.d_model, c.d_ff),
        }
    table["model.norm.weight"] = (c.d_model,)
    if not c.tied_head:
        table["lm_head.weight"] = (c.vocab_size, c.d_model)
    return table


def random_weights(config: ModelConfig, seed: int) -> Weights:
    """Uniform weights of variance 1/n_in, unit-variance embeddings, norm weights around 1.

    Smaller weights make a tiny model fall into loops, in which a corrupted cache can say
    the same as a correct one.
    """
    bits = np.random.PCG64(seed)
    weights = {}
    for name, shape in shapes(config).items():
        draw = _uniform(bits, shape)
        if len(shape) == 1:
            weights[name] = np.float32(1.0) + draw * np.float32(0.25)
        else:
            n_in = 1 if name == "model.embed_tokens.weight" else shape[1]
            weights[name] = draw * np.float32(math.sqrt(3.0 / n_in))
    return weights


def _uniform(bits: np.random.PCG64, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [-1, 1): the top 24 of 64 random bits, which float32 holds exactly."""
    raw = bits.random_raw(math.prod(shape)) >> np.uint64(40)
    return ((raw.astype(np.float32) - np.float32(2**23)) * np.float32(2.0**-23)).reshape(shape)
