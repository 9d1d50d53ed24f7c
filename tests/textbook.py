"""A Llama without a cache, in float64, head by head: slow, and nothing shared with engine/.

Every step recomputes the whole text from the weights as they are named in a state dict.
"""

import numpy as np

# Between this and float32 arithmetic in another order; logits have a spread of about 1.
LOGIT_TOLERANCE = 1e-4


def logits(config, weights, tokens) -> np.ndarray:  # -> (T, vocab_size)
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    x = w["model.embed_tokens.weight"][list(tokens)]
    for i in range(config.n_layers):
        p = f"model.layers.{i}."
        h = _norm(x, w[p + "input_layernorm.weight"], config.norm_eps)
        q = h @ w[p + "self_attn.q_proj.weight"].T
        k = h @ w[p + "self_attn.k_proj.weight"].T
        v = h @ w[p + "self_attn.v_proj.weight"].T
        x = x + _attention(config, q, k, v) @ w[p + "self_attn.o_proj.weight"].T
        h = _norm(x, w[p + "post_attention_layernorm.weight"], config.norm_eps)
        gate = h @ w[p + "mlp.gate_proj.weight"].T
        up = h @ w[p + "mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.down_proj.weight"].T
    x = _norm(x, w["model.norm.weight"], config.norm_eps)
    head = "model.embed_tokens.weight" if config.tied_head else "lm_head.weight"
    return x @ w[head].T


def generate(config, weights, prompt, new_tokens: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(new_tokens):
        tokens.append(int(logits(config, weights, tokens)[-1].argmax()))
    return tokens[len(prompt) :]


def _norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def _attention(config, q, k, v):
    T, Dh = len(q), config.head_dim
    out = np.zeros_like(q)
    for head in range(config.n_heads):
        group = head // (config.n_heads // config.n_kv_heads)
        own, shared = slice(head * Dh, (head + 1) * Dh), slice(group * Dh, (group + 1) * Dh)
        q_head, k_head = (_rotate(config, a) for a in (q[:, own], k[:, shared]))
        for t in range(T):
            scores = k_head[: t + 1] @ q_head[t] / np.sqrt(Dh)
            weights = np.exp(scores - scores.max())
            out[t, own] = weights / weights.sum() @ v[: t + 1, shared]
    return out


def _rotate(config, x):
    T, Dh = x.shape
    angles = np.outer(np.arange(T), config.rope_theta ** (-np.arange(0, Dh, 2) / Dh))
    cos, sin = np.tile(np.cos(angles), 2), np.tile(np.sin(angles), 2)
    rotated_half = np.concatenate([-x[:, Dh // 2 :], x[:, : Dh // 2]], axis=1)
    return x * cos + rotated_half * sin
