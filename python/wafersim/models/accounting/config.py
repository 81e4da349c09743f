"""A language model as its config.json describes it: what every layer holds, without any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.models.accounting.assumption import Assumption

if TYPE_CHECKING:
    from wafersim.models.reading.quantization import Quantization


@dataclass(frozen=True, slots=True)
class Attention:
    """Grouped-query attention; `kv_heads == heads` is multi-head, 1 is multi-query."""

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    out_bias: bool = False
    #: weights of the q and k norms together
    qk_norm_weights: int = 0
    #: one learned logit per head
    sinks: bool = False


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention: keys and values are kept as one latent vector per token and layer."""

    heads: int
    #: None: queries are projected directly
    q_rank: int | None
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Experts:
    """The experts of a layer and its router."""

    number: int
    per_token: int
    width: int
    #: width of the experts that every token takes, all together
    shared_width: int = 0
    shared_gate: bool = False
    router_bias: bool = False
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: how far it looks back (None: everything) and the width of its MLP or its experts."""

    window: int | None
    #: None: the layer has experts
    mlp_width: int | None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A decoder as accounting needs it; made by :meth:`load` or :meth:`from_hf`.

    Attributes
    ----------
    name : str
        Preset, file or the name that the caller gave.
    model_type : str
        As in the file; `family` is the family it is counted as.
    hidden, vocab : int
        Width of the residual stream and number of tokens.
    layers : tuple of Layer
        In order.
    norm_weights : int
        Weights of the norms of one layer, beside those inside attention.
    final_norm_weights : int
        Weights of the last norm.
    gated_mlp : bool
        Three matrices (gate, up, down) or two.
    activation : str
        Of the MLP, as the file or the model class names it ("silu", "gelu_pytorch_tanh").
    head_bias : bool
        The output head has a bias.
    tied : bool
        Input embedding and output head are one matrix.
    positions : int
        Rows of a learned table of positions, 0 if there is none.
    weight_bits : int
        Bits of a weight as stored where nothing is quantized.
    """

    name: str
    model_type: str
    family: str
    hidden: int
    vocab: int
    layers: tuple[Layer, ...]
    attention: Attention | LatentAttention
    experts: Experts | None
    norm_weights: int
    final_norm_weights: int
    gated_mlp: bool
    mlp_bias: bool
    head_bias: bool
    tied: bool
    positions: int
    weight_bits: int
    quantization: Quantization
    max_context: int | None = None
    mtp_layers: int = 0
    activation: str = "silu"
    assumptions: tuple[Assumption, ...] = field(default=())

    @staticmethod
    def from_hf(config: Mapping[str, Any], name: str = "config") -> ModelConfig:
        """A model from the content of a Hugging Face ``config.json``.

        Parameters
        ----------
        config : mapping
            The object in the file; nested ``text_config`` is looked into.
        name : str
            What to call the model in messages.

        Raises
        ------
        ConfigError
            Missing or contradicting keys, all in one line.

        Examples
        --------
        >>> small = dict(model_type="llama", hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        ...              num_attention_heads=2, vocab_size=10)
        >>> ModelConfig.from_hf(small).hidden
        8
        """
        from wafersim.models.reading.reader import read_config

        return read_config(config, name)

    @staticmethod
    def load(name_or_path: str | Path) -> ModelConfig:
        """A bundled preset by name, or a ``config.json`` by path (or the directory it is in).

        Raises
        ------
        ConfigError
            Neither a preset nor a readable file, or the file has faults.
        """
        from wafersim.models.reading.presets import load

        return load(name_or_path)

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def heads(self) -> int:
        return self.attention.heads
