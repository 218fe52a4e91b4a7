"""Other accepted names: options of the command line, arguments of Python functions, and names of engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps

from .type_names import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS = {  # command-line options, for commands that have only the new one
    "--attention": "--count", "--budget": "--max-compute", "--chunks": "--virtual-stages", "--context": "--lengths",
    "--experts": "--n-experts", "--loss": "--cross-entropy", "--micro-batch": "--micro-batch-size",
    "--pairs": "--count", "--select": "--path",
}  # fmt: skip
ENGINE_OPTIONS = {  # options of vLLM, SGLang, TensorRT-LLM and llama.cpp with the same meaning
    "--block-size": "--paged", "--cache-type": "--cache", "--context-length": "--seq",
    "--context-parallel-size": "--cp", "--ctx": "--seq", "--ctx-size": "--seq", "--data-parallel-size": "--dp",
    "--dp-size": "--dp", "--ep-size": "--ep", "--expert-parallel-size": "--ep",
    "--gpu-memory-utilization": "--reserve", "--kv-cache-dtype": "--cache",
    "--max-batch-size": "--batch", "--max-model-len": "--seq", "--max-num-batched-tokens": "--step-tokens",
    "--max-num-seqs": "--batch", "--max-num-tokens": "--step-tokens", "--max-running-requests": "--batch",
    "--max-seq-len": "--seq", "--page-size": "--paged", "--pipeline-parallel-size": "--pp", "--pp-size": "--pp",
    "--quant": "--weights", "--quantization": "--weights", "--tensor-parallel-size": "--tp", "--tp-size": "--tp",
}  # fmt: skip
ENGINES = {  # other names of serving engines
    "trtllm": "tensorrt-llm", "trt-llm": "tensorrt-llm", "tensorrt_llm": "tensorrt-llm", "tensorrtllm": "tensorrt-llm",
    "trtllm-serve": "tensorrt-llm", "llamacpp": "llama.cpp", "llama-cpp": "llama.cpp", "llama_cpp": "llama.cpp",
    "llama-server": "llama.cpp",
}  # fmt: skip
ENGINE_VALUES: dict[str, dict[str, str]] = {  # values of these engines, by option; an empty value is the default
    "--cache": {"auto": ""},
    "--engine": ENGINES,
    "--dtype": {"auto": "", "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32"},
}
SETTINGS = {"pairs": "count"}  # parameters of explain, sweep and compare
JSON_KEYS = {  # names of fields in JSON output, by class
    "Mesh": {
        "dp": "data", "tp": "tensor", "pp": "pipeline", "ep": "expert", "cp": "context", "etp": "expert_tensor",
        "sp": "sequence", "virtual_stages": "chunks",
    },
    "Recipe": {
        "weight_bytes": "weights", "gradient_bytes": "gradients", "master_weight_bytes": "master",
        "contiguous_gradient_buffer": "buffered", "n_temporaries": "temporaries", "frozen_weights": "frozen",
    },
}  # fmt: skip


def renamed(data: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """Return ``data`` with its keys renamed. A key is kept if its current name is also present.

    >>> renamed({"pairs": "dense"}, SETTINGS)
    {'count': 'dense'}
    """
    return {aliases[key] if key in aliases and aliases[key] not in data else key: value for key, value in data.items()}


def accepts_aliases(**aliases: str) -> Callable[[Function], Function]:
    """Make a function accept other names of its keyword arguments.

    >>> accepts_aliases(pairs="count")(lambda count: count)(pairs="dense")
    'dense'
    """

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            found = renamed(named, aliases)
            for name in aliases.keys() & found.keys():
                from .errors import InputError

                text = f"cannot be combined with {aliases[name]}, its current name"
                raise InputError(text, parameter=name, hint="omit it")
            return function(*values, **found)

        return call  # type: ignore[return-value]

    return decorate
