"""A Llama that generates through a KV cache: read this to see where `append` is called.

Greedy decoding of one sequence. The same weights give the same tokens as in Hugging Face's
`LlamaForCausalLM`. Axis legend: engine/attention.py.
"""

import operator

import numpy as np

from engine.attention import Rope, attend, linear, rms_norm, swiglu
from engine.config import ModelConfig
from engine.weights import Weights, random_weights


class Model:
    """The parameters of a Llama, ready to run. All state of a run lives in the cache."""

    def __init__(self, config: ModelConfig, weights: Weights):
        self.config = config
        self.rope = Rope(config.head_dim, config.rope_theta)
        self.layers = [Layer(config, weights, i, self.rope) for i in range(config.n_layers)]
        self.embedding = weights["model.embed_tokens.weight"]
        head = self.embedding if config.tied_head else weights["lm_head.weight"]
        self.head = _columns(head * weights["model.norm.weight"])

    @classmethod
    def random(cls, config: ModelConfig | None = None, seed: int = 0) -> "Model":
        config = config or ModelConfig()
        return cls(config, random_weights(config, seed))

    def generate(
        self,
        prompt,
        max_new_tokens: int,
        cache_class,
        dtype=np.float32,
    ) -> list[int]:
        """The `max_new_tokens` tokens that follow `prompt`, each the most likely.

        The cache is `cache_class(n_layers, row_width, max_seq_len=..., dtype=...)`.
        Raises `ValueError` for an empty prompt, a token outside the vocabulary or a
        negative count.
        """
        if max_new_tokens < 0:
            raise ValueError(f"max_new_tokens={max_new_tokens} is negative")
        prompt = self._token_ids(prompt)
        if max_new_tokens == 0:
            return []
        cache = cache_class(
            self.config.n_layers,
            self.config.row_width,
            max_seq_len=len(prompt) + max_new_tokens,
            dtype=dtype,
        )
        logits = self.prefill(prompt, cache)
        tokens = [int(logits.argmax())]
        while len(tokens) < max_new_tokens:
            position = len(prompt) + len(tokens) - 1
            logits = self.decode_step(tokens[-1], position, cache)
            tokens.append(int(logits.argmax()))
        return tokens

    def prefill(self, tokens, cache, start: int = 0):  # (S,) -> (vocab_size,)
        """Run a prompt, or the chunk of one that begins at position `start`.

        Appends `(S, D)` rows once per layer; returns the last token's logits.
        """
        tokens = self._token_ids(tokens)
        if operator.index(start) < 0:
            raise ValueError(f"start={start} is negative")
        positions = np.arange(start, start + len(tokens))
        x = self._through_layers(self.embedding[tokens], positions, cache)
        return self.logits(x[-1])

    def decode_step(self, token: int, position: int, cache):  # -> (vocab_size,)
        """Run one token. Appends one row `(D,)` per layer; returns its logits."""
        if not 0 <= token < self.config.vocab_size:
            raise ValueError(self._outside_vocabulary(token))
        if position < 0:
            raise ValueError(f"position={position} is negative")
        x = self._through_layers(self.embedding[token], position, cache)
        return self.logits(x)

    def _through_layers(self, x, positions, cache):  # the seam
        for i, layer in enumerate(self.layers):
            q, k, v = layer.project(x, positions)
            K, V = cache.append(i, k, v)
            x = layer.merge(x, attend(q, K, V))
        return x

    def logits(self, x):  # (..., d_model) -> (..., vocab_size)
        return linear(rms_norm(x, self.config.norm_eps), self.head)

    def _token_ids(self, tokens) -> np.ndarray:
        ids = np.asarray(tokens)
        if ids.ndim != 1 or ids.size == 0:
            raise ValueError(f"a prompt is one non-empty row of token ids, not shape {ids.shape}")
        if ids.dtype.kind not in "iu":
            raise ValueError(f"token ids are integers, not {ids.dtype}")
        if ids.min() < 0 or ids.max() >= self.config.vocab_size:
            bad = ids[(ids < 0) | (ids >= self.config.vocab_size)][0]
            raise ValueError(self._outside_vocabulary(bad))
        return ids

    def _outside_vocabulary(self, token) -> str:
        return f"token {token} is outside the vocabulary [0, {self.config.vocab_size})"


class Layer:
    """One transformer layer: what happens before and after attention.

    Both halves work on any leading axes, so that the same two calls serve one token, a
    prompt, a batch or a pack.
    """

    def __init__(self, config: ModelConfig, weights: Weights, index: int, rope: Rope):
        self.config = config
        self.rope = rope
        name = f"model.layers.{index}."
        q, k, v, o = (weights[f"{name}self_attn.{p}_proj.weight"] for p in "qkvo")
        gate, up, down = (weights[f"{name}mlp.{p}_proj.weight"] for p in ("gate", "up", "down"))
        attention_norm = weights[name + "input_layernorm.weight"]
        mlp_norm = weights[name + "post_attention_layernorm.weight"]
        # q, k and v out of one product, gate and up out of another: 10 % of a tiny model's
        # decode step. Norm weights scale the inputs of these matrices, so they go into them.
        q, k = (_pairs_side_by_side(w, config.head_dim) for w in (q, k))
        self.w_qkv = _columns(np.concatenate([q, k, v]) * attention_norm)
        self.w_out = _columns(o)
        self.w_gate_up = _columns(np.concatenate([gate * np.float32(0.5), up]) * mlp_norm)
        self.w_down = _columns(down)

    def project(self, x, positions):
        """x `(..., d_model)` at `positions` `(...)` -> q `(..., H, Dh)`, k and v `(..., D)`."""
        c = self.config
        *leading, _ = x.shape
        qkv = linear(rms_norm(x, c.norm_eps), self.w_qkv)
        q_width, qk_width = c.n_heads * c.head_dim, c.n_heads * c.head_dim + c.row_width
        # RoPE turns q and k where they lie.
        pairs = qkv[..., :qk_width].reshape(*leading, -1, c.head_dim).view(np.complex64)
        pairs *= self.rope.factors(positions)
        q = qkv[..., :q_width].reshape(*leading, c.n_heads, c.head_dim)
        return q, qkv[..., q_width:qk_width], qkv[..., qk_width:]

    def merge(self, x, attended):
        """Adds attention's result `(..., H, Dh)`, then the MLP's, to x `(..., d_model)`."""
        *leading, _ = x.shape
        x = x + linear(attended.reshape(*leading, -1), self.w_out)
        x += linear(swiglu(linear(rms_norm(x, self.config.norm_eps), self.w_gate_up)), self.w_down)
        return x


def _columns(weight):  # (n_out, n_in) -> (n_in, n_out), contiguous
    return np.ascontiguousarray(weight.T)


def _pairs_side_by_side(weight, head_dim):  # (heads * Dh, d_model) -> the same
    """Rotate-half pairs component p with p + Dh/2; reordered, a pair is one complex number.

    q and k are reordered alike, so their products stay the same.
    """
    heads = weight.reshape(-1, 2, head_dim // 2, weight.shape[1])
    return heads.swapaxes(1, 2).reshape(weight.shape)
