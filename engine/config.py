"""ModelConfig: the sizes of a model, checked once."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a Llama, named as in this project's axis legend (engine/attention.py).

    `n_kv_heads` and `head_dim` may be left out: then every query head has its own key
    head, and the heads share `d_model` evenly. Raises `ValueError` for sizes that no
    model can have.
    """

    n_layers: int = 4
    d_model: int = 64
    n_heads: int = 4
    n_kv_heads: int | None = None
    head_dim: int | None = None
    d_ff: int = 176
    vocab_size: int = 256
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tied_head: bool = False

    def __post_init__(self):
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in (int, int | None) and field.name != "head_dim":
                _refuse_unless_positive(field.name, value)
        if self.head_dim is None:
            if self.d_model % self.n_heads:
                raise ValueError(
                    f"d_model={self.d_model} is not a multiple of n_heads={self.n_heads}, "
                    "and no head_dim is given"
                )
            object.__setattr__(self, "head_dim", self.d_model // self.n_heads)
        _refuse_unless_positive("head_dim", self.head_dim)
        if self.head_dim % 2:
            raise ValueError(f"head_dim={self.head_dim} is odd, and RoPE rotates pairs")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads={self.n_heads} is not a multiple of n_kv_heads={self.n_kv_heads}"
            )
        for name in ("rope_theta", "norm_eps"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name}={value!r} is not a positive number")

    @property
    def row_width(self) -> int:
        """D: the values of one token in one layer's K, and as many in its V."""
        return self.n_kv_heads * self.head_dim


def _refuse_unless_positive(name: str, value) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r} is not a positive integer")
