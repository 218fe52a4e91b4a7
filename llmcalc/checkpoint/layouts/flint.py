"""Flint: Mixtral's experts and an ungated shared one under the name of Qwen's."""

from . import kolibri1

PREFIX = kolibri1.PREFIX
TEXT = kolibri1.TEXT.replace("shared_experts", "shared_expert")
