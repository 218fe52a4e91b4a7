"""The ``llmcalc serve`` command for predicting the memory of a serving engine and the size of its KV cache."""

from __future__ import annotations

from math import prod
from typing import Any

from ...core.errors import InputError, UnknownNameError
from ..memory_options import DTYPE, FORMATS, MESH, PRICE
from ..options import CHART_OUTPUT, NOTES, READING, is_given, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

MODEL = Argument(
    "model", "Name, preset, config.json, checkpoint, Modelfile or hf:org/name.",
    least=0, complete="models",
)  # fmt: skip
ENGINE = (
    Option("--gpu", "GPU name or memory with a count, such as h100:4. Several, or all, are compared for --isl tokens.",
           "NAME[:N],...", joined=True, complete="accelerators"),
    Option("--gpu-memory", "Memory per GPU, such as 79.18GiB in a log (overrides the specification).", "SIZE"),
    Option("--engine", "Serving engine (default: vllm; llama.cpp for GGUF formats, Apple and Radeon).",
           choices=("vllm", "sglang", "tensorrt-llm", "llama.cpp")),
    Option("--engine-version", "Version of the engine, such as 0.11 (default: the newest one described).", "VERSION"),
    Option("--image", "Size of an image in a request, such as 1024x768. Repeatable.", "SIZE", repeatable=True),
    Option("--command", "Command line of the engine, which may also follow -- at the end.", "TEXT"),
)  # fmt: skip
LOAD = (
    Option("--isl", "Estimate times: input tokens of a request.", "TOKENS"),
    Option("--osl", "Estimate times: output tokens of a request.", "TOKENS"),
    Option("--mix", "Estimate times: requests of several lengths, in place of --isl and --osl.", "ISL/OSL:SHARE,..."),
    Option("--trace", "Estimate times: CSV or JSON Lines file with the tokens of each request.", "FILE"),
    Option("--turns", "Estimate times: turns of a conversation, each with --isl new input tokens.", kind=int),
    Option("--prefix-share", "Estimate times: share of the input that is a cached prefix; 0: cache no turns.", "SHARE"),
    Option("--concurrency", "Estimate times: number of requests at any time (default: 1).", kind=int),
    Option("--sla", "Find layouts, or requests on a given one, within limits on mean times: ttft=1s,tpot=30ms,e2e=10s.",
           "LIMITS"),
    Option("--pareto", "Find the most tokens per second of a GPU at each speed of a request, over layouts and formats.",
           kind=bool),
    Option("--prefill-pool", "Replicas that compute prefills alone, such as 2xtp2 or 1xdp8ep8. The other GPUs decode.",
           "POOL"),
    Option("--watts", "Measured power per GPU in W (default: by what kernels read and compute, from the rated power).",
           "W"),
    Option("--api-price", "Compare with an API: US dollars per million input and output tokens, such as 0.5/1.5.",
           "IN/OUT"),
    Option("--calibration", "Estimate times with the factors of your own measurements (llmcalc calibrate).", "FILE"),
    Option("--experts", "Estimate times: format of routed experts (default: --weights).", "FORMAT", complete="formats"),
    Option("--attention-weights", "Estimate times: format of the matrices of attention (default: --weights).", "FORMAT",
           complete="formats"),
    *(option for option in MESH if option.name == "ep"), PRICE,
    Option("--two-batch-overlap", "Estimate times: exchange tokens of half a batch while the other half computes.",
           kind=bool),
)  # fmt: skip
SETTINGS = (
    *(option for option in MESH if option.name in ("dp", "tp", "pp")),
    Option("--expert-parallel", "Divide the experts over all ranks (vLLM: --enable-expert-parallel).", kind=bool),
    Option("--max-model-len", "Longest request in tokens, such as 32k, or auto (default: as in the config).", "TOKENS"),
    Option("--max-num-seqs", "Maximum number of sequences in a step (default: by GPU).", kind=int),
    Option("--max-num-batched-tokens", "Maximum number of tokens in a step (default: by GPU).", kind=int),
    Option("--gpu-memory-utilization", "Share of the GPU memory that the engine uses (default: by engine).", "SHARE"),
    DTYPE,
    *(option for option in FORMATS if option.name in ("weights", "cache")),
    Option("--block-size", "Tokens per block of the KV cache (default: 16).", kind=int),
    Option("--kv-cache-memory", "Size of the KV cache per GPU, such as 20GiB (default: what is left).", "SIZE"),
    Option("--images-per-prompt", "Images per prompt; 0 loads no image encoder.", kind=int),
    Option("--enforce-eager", "Capture no CUDA graphs.", kind=bool),
    Option("--gpu-layers", "Number of layers on the GPUs, with the output layer (llama.cpp: -ngl; default: all).",
           kind=int),
    Option("--cpu-experts", "Number of first layers whose experts stay in host memory (llama.cpp: --n-cpu-moe).",
           kind=int),
    Option("--cpu-offload-gb", "GiB of the weights of each GPU that stay in host memory (vLLM, SGLang).", "GIB"),
    Option("--kv-offloading-size", "GiB of KV cache in host memory, for all GPUs together (vLLM).", "GIB"),
    Option("--enable-lora", "Serve LoRA adapters (vLLM, SGLang).", kind=bool),
    Option("--max-loras", "Number of adapters on a GPU (default: 1 in vLLM, 8 in SGLang).", kind=int),
    Option("--max-lora-rank", "Largest rank of an adapter (default: 16).", kind=int),
    Option("--draft", "Draft model for speculative decoding: a model name, a config.json or hf:org/name.", "MODEL",
           complete="models"),
    Option("--draft-method", "How tokens are drafted (default: draft_model with --draft).", "NAME",
           choices=("draft_model", "mtp", "eagle", "eagle3", "ngram")),
    Option("--draft-tokens", "Drafted tokens per step, as the engine counts them (default: by method).", kind=int),
    Option("--acceptance-length", "Estimate times: mean tokens per step of a sequence (default: a published one).",
           "TOKENS"),
    Option("--acceptance-rate", "Estimate times: share of the drafted tokens that are accepted.", "SHARE"),
)  # fmt: skip


NUMBERS = {"price": "2.50", "watts": "500", "prefix_share": "0.5", "acceptance_length": "2.5", "acceptance_rate": "0.6"}


@printed
def run(
    model: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    engine: str | None,
    engine_version: str | None,
    command: str | None,
    image: list[str] | None,
    **given: Any,
) -> Answer:
    """Print what the engine allocates on each GPU, or the time of requests. The exit code is 1 if it will not start."""
    from ...api.serve import serve
    from ...estimate.amounts import amount
    from ...report.serve import refused_document, serve_document
    from ...serving.start.layout_error import LayoutError
    from ...serving.start.start import Start

    typed = {**given, "model": model, "engine": engine, "engine_version": engine_version,
             "command": command}  # fmt: skip
    if command is not None and gpu is None and gpu_memory is None:
        hint = f"add the GPUs first: llmcalc serve --gpu h100:{_ranks(command)} -- {command}"
        raise InputError("missing GPU", parameter="gpu", hint=hint)
    source: Any = model
    if model is not None and any(is_given(option, given) for option in READING):
        source = load_model(model, given)
    settings = {option.name: given[option.name] for option in (*LOAD, *SETTINGS) if is_given(option, given)}
    settings |= {name: amount(settings[name], name, usual) for name, usual in NUMBERS.items() if name in settings}
    try:
        result: Any = serve(
            source, gpu, command=command, engine=engine, engine_version=engine_version, gpu_memory=gpu_memory,
            image=image or (), **settings,
        )  # fmt: skip
    except LayoutError as error:
        return refused_document(error), False
    except UnknownNameError as error:
        flag = str(error.name).partition("=")[0]
        if error.parameter != "command" or flag not in {option.flag for option in OPTIONS}:
            raise
        hint = f"{flag} is an option of llmcalc: put it before --"
        raise InputError(error.message, parameter="command", hint=hint) from None
    if isinstance(result, Start):
        return serve_document(result), result.starts
    from ...search.front import ServingFront
    from ...search.pools import ServingPools
    from ...search.serving_gpus import ServingGpus
    from ...search.serving_search import ServingSearch
    from ...serving.encoders import EncoderServing
    from ...serving.result import ServingResult

    if isinstance(result, EncoderServing):
        from ...report.encoder_serving import encoder_document

        return encoder_document(result), result.fits
    if isinstance(result, ServingFront):
        from ...report.serving_front import front_document

        return front_document(result), bool(result.points)
    if isinstance(result, ServingGpus):
        from ...report.serving_gpus import serving_gpus_document

        return serving_gpus_document(result, lambda change: COMMANDS[0].line({**typed, **change})), bool(result.best)
    if isinstance(result, ServingPools):
        from ...report.serving_pools import pools_document

        return pools_document(result), result.layout is not None
    if isinstance(result, ServingSearch):
        from ...report.serving_search import search_document

        return search_document(result), result.is_found
    assert isinstance(result, ServingResult)
    from ...report.serving import serving_document

    return serving_document(result), result.all_run


def _ranks(command: str) -> int:
    """Return the number of GPUs that a command line of an engine names."""
    from ...importers.engine_commands import read_command

    sizes = (read_command(command).settings.get(name, "1") for name in ("tp", "pp"))
    return prod(int(size) for size in sizes if size.isdigit())


OPTIONS = (*ENGINE, *LOAD, *SETTINGS, *READING, *CHART_OUTPUT, NOTES)
COMMANDS = (Command("serve", (MODEL, *OPTIONS), run),)
