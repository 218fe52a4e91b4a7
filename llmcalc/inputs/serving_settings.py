"""Settings of ``serve``, ``latency`` and ``check-log``, each declared once, in the order of the command line.

A setting with a help text is an option of the command line. ``part`` says what one of ``serve`` belongs to:

- ``requests``: the requests, and what is asked of them. They may stand beside the command line of an engine.
- ``machine``: the GPUs, images and the engine's version, which no command line of an engine states.
- ``layout``, ``formats`` and ``engine``: what every answer reads for itself. Command lines of engines state it, too.
- ``added``: what llmcalc adds to the settings of every engine, though none has a flag for it.
- none: a flag of engines.

The last two are read by ``read_engine_settings`` and reach every answer with the settings of the engine. A setting that
needs ``requests`` has no effect on the start of an engine, and one that needs ``no_requests`` is modelled for it alone.
"""

from __future__ import annotations

import os

from ..calc.sharding import MESH
from ..core.record import changed
from ..core.setting import BATCH, CONTEXT, SIZE, TEXTS, Setting
from ..core.type_names import Any
from .settings import CACHE_FORMAT, DTYPE, ENGINE, PLAIN, WEIGHTS

ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp")
_RANKS = {  # if none is given, the layout is chosen: the default is not 1
    each.name: changed(each, part="layout", needs=("no_front",), usual=None) for each in MESH
}
_OF_REQUESTS: dict[str, Any] = {"part": "requests", "needs": ("requests",)}
_OF_START: dict[str, Any] = {"needs": ("no_requests",)}
_OF_DRAFTS: dict[str, Any] = {"part": "requests", "needs": ("requests", "drafts")}

EXPERTS = Setting("experts", part="formats", needs=("requests",), metavar="FORMAT", complete="formats",
                  help="Estimate times: format of routed experts (default: {weights}).")  # fmt: skip
ATTENTION_WEIGHTS = Setting(
    "attention_weights", part="formats", needs=("requests",), metavar="FORMAT", complete="formats",
    help="Estimate times: format of the matrices of attention (default: {weights}).",
)  # fmt: skip
CALIBRATION = Setting(
    "calibration", object, part="requests", needs=("requests", "one_kind"), metavar="FILE",
    help="Estimate times with the factors of your own measurements (llmcalc calibrate).",
)  # fmt: skip
SERVE = (
    Setting("gpu", SIZE, least=1, part="machine", metavar="NAME[:N],...", complete="accelerators",
            help="GPU name or memory with a count, such as h100:4. Several, or all, are compared for {isl} tokens."),
    Setting("gpu_memory", SIZE, least=1, part="machine", needs=("no_requests",), metavar="SIZE",
            help="Memory per GPU, such as 79.18GiB in a log (overrides the specification)."),
    Setting("engine", typed=ENGINES, part="engine",
            help="Serving engine (default: vllm; llama.cpp for GGUF formats, Apple and Radeon)."),
    Setting("engine_version", part="machine", metavar="VERSION",
            help="Version of the engine, such as 0.11 (default: the newest one described)."),
    Setting("image", TEXTS, (), part="machine", metavar="SIZE",
            help="Size of an image in a request, such as 1024x768. Repeatable."),
    Setting("command", (str, list, tuple), part="engine", metavar="TEXT",
            help="Command line of the engine, which may also follow -- at the end."),
    # the requests, and what is asked of them
    Setting("isl", (int, str), **_OF_REQUESTS, metavar="TOKENS", help="Estimate times: input tokens of a request."),
    Setting("osl", (int, str), **_OF_REQUESTS, metavar="TOKENS", help="Estimate times: output tokens of a request."),
    Setting("mix", **_OF_REQUESTS, metavar="ISL/OSL:SHARE,...",
            help="Estimate times: requests of several lengths, in place of {isl} and {osl}."),
    Setting("trace", (str, os.PathLike), **_OF_REQUESTS, metavar="FILE",
            help="Estimate times: CSV or JSON Lines file with the tokens of each request."),
    Setting("turns", int, least=2, **_OF_REQUESTS,
            help="Estimate times: turns of a conversation, each with {isl} new input tokens."),
    Setting("prefix_share", float, least=0, **_OF_REQUESTS, metavar="SHARE", example="0.5",
            help="Estimate times: share of the input that is a cached prefix; 0: cache no turns."),
    Setting("concurrency", float, above=0, typed=int, **_OF_REQUESTS,
            help="Estimate times: number of requests at any time (default: 1)."),
    Setting("sla", **_OF_REQUESTS, metavar="LIMITS",
            help="Find layouts, or requests on a given one, within limits on mean times: ttft=1s,tpot=30ms,e2e=10s."),
    Setting("pareto", bool, False, part="requests", needs=("requests", "one_group"),
            help="Find the most tokens per second of a GPU at each speed of a request, over layouts and formats."),
    Setting("prefill_pool", part="requests", needs=("requests", "one_group", "no_limits", "no_front"), metavar="POOL",
            help="Replicas that compute prefills alone, such as 2xtp2 or 1xdp8ep8. The other GPUs decode."),
    Setting("watts", float, above=0, part="requests", needs=("requests", "one_kind"), metavar="W", example="500",
            help="Measured power per GPU in W (default: by what kernels read and compute, from the rated power)."),
    Setting("api_price", part="requests", needs=("requests", "one_group"), metavar="IN/OUT",
            help="Compare with an API: US dollars per million input and output tokens, such as 0.5/1.5."),
    CALIBRATION, EXPERTS, ATTENTION_WEIGHTS, _RANKS["ep"],
    Setting("price", float, above=0, part="requests", needs=("requests", "one_kind"), metavar="DOLLARS",
            example="2.50", help="Price in US dollars per GPU-hour (default: quoted prices)."),
    Setting("two_batch_overlap", bool, False,
            help="Estimate times: exchange tokens of half a batch while the other half computes."),
    # the engine
    _RANKS["dp"], _RANKS["tp"], changed(_RANKS["pp"], needs=("no_front", "no_pools")),
    Setting("expert_parallel", bool, **_OF_START,
            help="Divide the experts over all ranks (vLLM: --enable-expert-parallel)."),
    Setting("max_model_len", (int, str), metavar="TOKENS",
            help="Longest request in tokens, such as 32k, or auto (default: as in the config)."),
    Setting("max_num_seqs", int, least=1, help="Maximum number of sequences in a step (default: by GPU)."),
    Setting("max_num_batched_tokens", int, least=1, help="Maximum number of tokens in a step (default: by GPU)."),
    Setting("gpu_memory_utilization", float, above=0, metavar="SHARE",
            help="Share of the GPU memory that the engine uses (default: by engine)."),
    changed(DTYPE, default=None, help="Number format used for computation (default: by model and GPU)."),
    changed(WEIGHTS, part="formats"), changed(CACHE_FORMAT, part="formats", needs=()),
    Setting("block_size", int, least=1, needs=("command_lines",),
            help="Tokens per block of the KV cache (default: 16)."),
    Setting("kv_cache_memory", SIZE, least=1, metavar="SIZE",
            help="Size of the KV cache per GPU, such as 20GiB (default: what is left)."),
    Setting("images_per_prompt", int, least=0, help="Images per prompt; 0 loads no image encoder."),
    Setting("enforce_eager", bool, help="Capture no CUDA graphs."),
    Setting("gpu_layers", int, least=0,
            help="Number of layers on the GPUs, with the output layer (llama.cpp: -ngl; default: all)."),
    Setting("cpu_experts", int, least=0,
            help="Number of first layers whose experts stay in host memory (llama.cpp: --n-cpu-moe)."),
    Setting("cpu_offload_gb", float, least=0, **_OF_START, metavar="GIB",
            help="GiB of the weights of each GPU that stay in host memory (vLLM, SGLang)."),
    Setting("kv_offloading_size", float, least=0, **_OF_START, metavar="GIB",
            help="GiB of KV cache in host memory, for all GPUs together (vLLM)."),
    Setting("enable_lora", bool, **_OF_START, help="Serve LoRA adapters (vLLM, SGLang)."),
    Setting("max_loras", int, least=1, **_OF_START,
            help="Number of adapters on a GPU (default: 1 in vLLM, 8 in SGLang)."),
    Setting("max_lora_rank", int, least=1, **_OF_START, help="Largest rank of an adapter (default: 16)."),
    Setting("draft", metavar="MODEL", complete="models",
            help="Draft model for speculative decoding: a model name, a config.json or hf:org/name."),
    Setting("draft_method", metavar="NAME", typed=("draft_model", "mtp", "eagle", "eagle3", "ngram"),
            help="How tokens are drafted (default: draft_model with {draft})."),
    Setting("draft_tokens", int, least=1,
            help="Drafted tokens per step, as the engine counts them (default: by method)."),
    Setting("acceptance_length", float, least=1, **_OF_DRAFTS, metavar="TOKENS", example="2.5",
            help="Estimate times: mean tokens per step of a sequence (default: a published one)."),
    Setting("acceptance_rate", float, least=0, **_OF_DRAFTS, metavar="SHARE", example="0.6",
            help="Estimate times: share of the drafted tokens that are accepted."),
    # only in command lines of engines and in Python
    Setting("share", float, above=0), Setting("num_blocks", int, least=1), Setting("disable_cache_groups", bool),
    Setting("prefix_caching", bool), Setting("chunked_prefill", bool), Setting("disable_radix_cache", bool),
    Setting("max_total_tokens", int, least=1), Setting("graph_sequences", int, least=1),
    Setting("sliding_ratio", float, above=0), Setting("state_ratio", float, above=0),
    Setting("max_states", int, least=1),
    Setting("cache_v"), Setting("cpu_all_experts", bool), Setting("full_window", bool), Setting("unified", bool),
    Setting("cpu_dense", int, least=0), Setting("tensor_overrides"), Setting("speculative_config"),
    Setting("draft_steps", int, least=1), Setting("draft_width", int, least=1), Setting("auto_fit", bool),
    Setting("state_dtype", choices=PLAIN), Setting("conv_dtype", choices=PLAIN), Setting("language_model_only", bool),
    Setting("multimodal", bool),
    Setting("async_scheduling", bool, **_OF_START), Setting("attention_config", **_OF_START),
    Setting("attention_dp", bool, **_OF_START), Setting("host_cache", bool, **_OF_START),
    Setting("host_compute", bool, **_OF_START), Setting("offload_group_size", int, least=0, **_OF_START),
    Setting("offload_num_in_group", int, least=1, **_OF_START),
    Setting("offload_prefetch_step", int, least=1, **_OF_START), Setting("kv_transfer_config", **_OF_START),
    Setting("hierarchical_cache", bool, **_OF_START), Setting("hicache_ratio", float, above=0, **_OF_START),
    Setting("hicache_size", float, least=0, **_OF_START), Setting("max_cpu_loras", int, least=1, **_OF_START),
    Setting("lora_targets", **_OF_START), Setting("lora_paths", **_OF_START),
    Setting("fully_sharded_loras", bool, **_OF_START), Setting("lora_extra_vocab", int, least=0, **_OF_START),
    Setting("draft_gpu_layers", int, least=0, **_OF_START), Setting("draft_cpu_experts", int, least=0, **_OF_START),
    Setting("draft_cache", **_OF_START), Setting("draft_cache_v", **_OF_START),
    Setting("draft_context", int, least=0, **_OF_START), Setting("dcp", int, least=1, **_OF_START),
)  # fmt: skip
LATENCY = (
    Setting("gpu", SIZE, metavar="NAME[:N]", complete="accelerators",
            help="GPU with an optional count, such as h100:4."),
    Setting("mode", choices=("decode", "prefill", "generate"),
            help="Decode step, prefill of prompts, or generate (default: by the lengths that are given)."),
    BATCH,
    changed(CONTEXT, metavar="TOKENS", help="Decode: number of cached tokens (default: 2048, or the model's maximum)."),
    Setting("seq", int, least=1, metavar="TOKENS",
            help="Prefill and generate: tokens per prompt (default: as for {context})."),
    Setting("new_tokens", int, least=1, typed=str, metavar="TOKENS",
            help="Generate: number of new tokens per sequence (default: 128)."),
    *(changed(each, usual=None) for each in MESH if each.name in ("dp", "tp", "pp", "ep")), WEIGHTS,
    changed(EXPERTS, needs=(), help="Format of routed experts (default: {weights})."),
    changed(ATTENTION_WEIGHTS, needs=(), help="Format of the matrices of attention (default: {weights})."),
    CACHE_FORMAT, changed(ENGINE, choices=(), typed=ENGINE.choices),
    Setting("engine_version", metavar="VERSION", help="Version of the engine, such as 0.6 (default: the newest one)."),
    changed(CALIBRATION, needs=()),
)  # fmt: skip
CHECK_LOG = (
    Setting("gpu", metavar="NAME", complete="accelerators", help="GPU name (default: as in the log)."),
    Setting("gpu_memory", metavar="SIZE", help="Memory per GPU, such as 79.19GiB (default: as in the log)."),
    Setting("model", metavar="MODEL", complete="models", help="Name of the model, if that in the log is a path."),
    Setting("engine_version", metavar="VERSION", help="Version of the engine (default: as in the log)."),
)  # fmt: skip
