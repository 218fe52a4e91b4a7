"""Typed access to the metadata of one architecture, which remembers what was read of it."""

from __future__ import annotations

from typing import Any

from ...checkpoint.headers import Headers
from ...core.errors import DescriptionError, SizeError, UnknownNameError, shown
from ...core.layer import LARGEST_SIZE, MOST_LAYERS, is_number

# Without effect on sizes and on what is computed, whatever the architecture.
_IRRELEVANT = """
    vocab_size context_length tensor_data_layout pooling_type logit_scale residual_scale embedding_scale
    attn_logit_softcapping final_logit_softcapping router_logit_softcapping decoder_start_token_id
    attention.scale attention.output_scale attention.causal attention.layer_norm_epsilon
    attention.layer_norm_rms_epsilon attention.group_norm_epsilon attention.temperature_length
    attention.temperature_scale attention.max_alibi_bias rope.freq_base rope.freq_base_swa rope.dimension_count
    rope.dimension_count_swa rope.dimension_sections rope.scaling.type rope.scaling.factor rope.scaling.alpha
    rope.scaling.attn_factor rope.scaling.original_context_length rope.scaling.finetuned
    rope.scaling.yarn_log_multiplier rope.scaling.yarn_ext_factor rope.scaling.yarn_attn_factor
    rope.scaling.yarn_beta_fast rope.scaling.yarn_beta_slow rope.scale_linear expert_weights_scale
    expert_weights_norm expert_gating_func expert_group_scale swiglu_clamp_exp swiglu_clamp_shexp
    interleave_moe_layer_step classifier.output_labels activation_sparsity_scale n_deepstack_layers
"""
IRRELEVANT = frozenset(_IRRELEVANT.split())


class Metadata:
    """The keys of an architecture without its name before them; every access counts as read."""

    def __init__(self, arch: str, headers: Headers) -> None:
        self.arch = arch
        prefix = f"{arch}."
        self.data = {
            key.removeprefix(prefix): value for key, value in headers.metadata.items() if key.startswith(prefix)
        }
        self.tensors = headers.tensors
        self.read: set[str] = set()

    def get(self, key: str) -> Any:
        """A value, or None; a list of one value repeated is that value."""
        self.read.add(key)
        value = self.data.get(key)
        if isinstance(value, list) and value and all(one == value[0] for one in value):
            return value[0]
        return value

    def needed(self, key: str) -> Any:
        """A value that must be there."""
        if self.data.get(key) is None:
            raise DescriptionError(f"the metadata has no {self.arch}.{key}")
        return self.get(key)

    def size(self, key: str) -> int:
        """A positive integer that must be there."""
        return self._whole(self.needed(key), key, 1)

    def count(self, key: str, default: int = 0) -> int:
        """An integer that may be 0, or ``default`` if it is not there."""
        value = self.get(key)
        return default if value is None else self._whole(value, key, 0)

    def number(self, key: str) -> float | None:
        """A finite number, or None."""
        value = self.get(key)
        if value is not None and not is_number(value):
            raise DescriptionError(f"{self.arch}.{key} is {shown(value)}; it is a finite number")
        return value

    def per_layer(self, key: str, layers: int) -> list[int]:
        """A number for each layer, whether it was given once or as a list."""
        self.read.add(key)
        value = self.data.get(key)
        found = value if isinstance(value, list) else [value] * layers
        if len(found) != layers:
            raise SizeError(f"{self.arch}.{key} has {len(found)} entries for {layers} layers")
        return [self._whole(one, key, 0) for one in found]

    def layers(self) -> int:
        """The number of blocks."""
        found = self.size("block_count")
        if found > MOST_LAYERS:
            raise SizeError(f"{self.arch}.block_count is {found:,}; no more than {MOST_LAYERS:,} are understood")
        return found

    def holds(self, name: str) -> bool:
        """Whether there is such a tensor; ``attn_q.bias`` is looked for in every block."""
        if name in self.tensors:
            return True
        return any(
            held.startswith("blk.") and held.partition(".")[2].partition(".")[2] == name for held in self.tensors
        )

    def rows(self, name: str) -> int:
        """The rows of a tensor that must be there."""
        held = self.tensors.get(name)
        if held is None or not held.shape:
            raise DescriptionError(f"has no tensor {name}", hint="is it a language model?")
        return held.shape[0]

    def width(self, suffix: str) -> int | None:
        """The rows of the first tensor whose name ends so, or None."""
        return next(
            (held.shape[0] for name, held in self.tensors.items() if name.endswith(suffix) and held.shape), None
        )

    def check_all_read(self) -> None:
        """Fail on a key that was neither read nor is irrelevant."""
        for key, value in self.data.items():
            if key not in self.read and key not in IRRELEVANT:
                hint = f"its value is {shown(value)}; it is not known to mean something for {self.arch}"
                raise UnknownNameError("GGUF key", f"{self.arch}.{key}", [], hint=hint)

    def _whole(self, value: object, key: str, least: int) -> int:
        if type(value) is not int or not least <= value <= LARGEST_SIZE:
            wanted = f"a whole number from {least} to {LARGEST_SIZE:,}"
            raise SizeError(f"{self.arch}.{key} is {shown(value)}; it is {wanted}")
        return value
