"""Which ``model_type`` is read by which function. A family is one line here and one function in a file beside it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from ....core.architecture import Architecture
from ..config import Config


class Family(NamedTuple):
    """How a ``model_type`` is read, and the layout of its stored tensors."""

    model_type: str
    module: str
    function: str
    layout: str

    def read(self, config: Config) -> Architecture:
        """The architecture of a config of this family."""
        function: Callable[[Config], Architecture] = getattr(import_module(f".{self.module}", __name__), self.function)
        return function(config)


# model_type: file.function [layout, if it is not the model_type's own]
_TABLE = """
llama             llama.llama
mistral           llama.mistral       llama
qwen2             llama.qwen2         llama
qwen3             llama.qwen3         llama
gemma             gemma.gemma         llama
gemma2            gemma.gemma2
gemma3_text       gemma.gemma3        gemma2
mixtral           moe.mixtral
qwen3_moe         moe.qwen3_moe       mixtral
gpt_oss           moe.gpt_oss
deepseek_v2       deepseek.deepseek_v2  deepseek_v3
deepseek_v3       deepseek.deepseek_v3
qwen3_next        hybrid.qwen3_next
jamba             hybrid.jamba
nemotron_h        hybrid.nemotron_h
nemotron-nas      hybrid.nemotron_nas llama
mamba             ssm.mamba
mamba2            ssm.mamba2
rwkv              ssm.rwkv
gpt2              gpt.gpt2
openai-gpt        gpt.openai_gpt
bert              bert.bert
roberta           bert.roberta
albert            bert.albert
t5                t5.t5
switch_transformers t5.switch
bart              bart.bart
"""


def _parse(line: str) -> Family:
    model_type, target, *layout = line.split()
    module, _, function = target.partition(".")
    return Family(model_type, module, function, layout[0] if layout else model_type)


_FAMILIES = {entry.model_type: entry for entry in map(_parse, _TABLE.strip().splitlines())}


def find(model_type: str) -> Family | None:
    """The family of a ``model_type``, or None."""
    return _FAMILIES.get(model_type)


def names() -> list[str]:
    """All ``model_type``s that are understood."""
    return list(_FAMILIES)
