"""``quantization_config`` of a published checkpoint: which matrices are quantised, and what each is stored as.

A method reads its own keys; one that is not known, and a key that changes what is stored in a way that is not known,
are errors. Modules that no list names are treated as the maker's library does: tables, norms, routers and, but for
ModelOpt and compressed-tensors, the head are left as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..core.errors import DescriptionError, UnknownNameError, UnsupportedError, shown
from . import packs
from .modules import WHERE, expression, matcher, named
from .packs import Part, Shape

LONGEST_LISTS = 4_000_000
_ONE_EXPERT = re.compile(r"experts?[\\.]+[\d\[(]")
# How the numbers were found, and how kernels compute with them: nothing of what is stored.
_PASSED = """
    activation_scheme backend batch_size block_name_to_quantize bnb_4bit_compute_dtype cache_block_outputs
    damp_percent damp_auto_increment dataset desc_act disable_exllama do_fuse exllama_config fmt
    fuse_max_seq_len hyb_act iters kv_cache_scheme kv_cache_quant_algo llm_int8_enable_fp32_cpu_offload
    llm_int8_has_fp16_weight llm_int8_threshold max_input_length meta mlp_fused model_file_base_name
    model_name_or_path model_seqlen module_name_preceding_first_block modules_to_fuse mse nsamples pack_dtype
    pad_token_id quantization_status seqlen static_groups sym tokenizer transform_config true_sequential
    use_cuda_fp16 use_exllama version zero_point global_compression_ratio run_compressed modelopt_version
    activation_scale_ub
"""
_IRRELEVANT = frozenset(_PASSED.split())
_TILE = 128
_FLOATS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


class _Told(dict[str, Any]):
    """The keys of a config, which remembers which of them were asked for."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.read = {"quant_method", "producer"}

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


class Matrix(NamedTuple):
    """A stored matrix: the module it belongs to, its shape, and whether it is the head, all experts of a layer in one
    (3-D), one of a routed expert, or of a tower beside the language model.
    """

    module: str
    shape: Shape
    head: bool = False
    experts: bool = False
    routed: bool = False
    tower: bool = False


class Quantisation(NamedTuple):
    """A method, as read from a config.

    Attributes:
        name: what the choice is called.
        pack: the tensors that a matrix [out, in] becomes.
        left: whether a module is named as one that stays.
        head: whether the head is quantised unless it is named.
        experts_only: of 3-D experts alone (MXFP4).
        apart: the lists may name one expert of a layer and not another.
        language: of the language model alone, whose config it stands in.
        pack_experts: what a matrix of a routed expert becomes, if it is something else.
        unread: keys of the config that nobody read, and that are not known to change nothing.
    """

    name: str
    pack: Callable[..., list[Part]]
    left: Callable[[str], bool]
    head: bool = False
    experts_only: bool = False
    apart: bool = False
    language: bool = False
    pack_experts: Callable[..., list[Part]] | None = None
    unread: tuple[str, ...] = ()

    def parts(self, matrix: Matrix) -> list[Part] | None:
        """What a matrix is stored as; None: as it was."""
        if self.left(matrix.module) or (matrix.head and not self.head) or self.experts_only != matrix.experts:
            return None
        if matrix.tower and self.language:
            return None
        pack = self.pack_experts if matrix.routed and self.pack_experts else self.pack
        return pack(*matrix.shape)


def read_quantisation(data: Mapping[str, Any], dtype: str, language: bool = False) -> Quantisation:
    """The method of a ``quantization_config``; ``dtype`` is what the checkpoint computes in, ``language`` that it
    stands in the config of the language model within that of a larger one.

    Raises:
        UnknownNameError: a method that is not known.
        UnsupportedError: a variant of a known one that is not.
    """
    producer = data.get("producer")
    maker = producer.get("name") if isinstance(producer, dict) else None
    method = data.get("quant_method") or maker
    if isinstance(method, str) and method.startswith("bitsandbytes"):
        method = "bitsandbytes"
    reader = METHODS.get(method) if isinstance(method, str) else None
    if reader is None:
        hint = f"understood: {', '.join(METHODS)}; --weights FORMAT says what to take instead"
        raise UnknownNameError("quant_method", method, METHODS, where=WHERE, hint=hint)
    told = _Told(data)
    found = reader(told, dtype)
    unread = tuple(key for key in data if key not in told.read | _IRRELEVANT and data[key] not in (None, False, [], {}))
    apart = bool(_ONE_EXPERT.search(str(data)[:LONGEST_LISTS]))
    return found._replace(apart=apart, language=language, unread=unread)


def scale_type(dtype: str) -> str:
    """The type of scales that follow the checkpoint's own."""
    return dtype if dtype in ("BF16", "F16", "F32") else "BF16"


def float_type(name: object) -> str:
    """Safetensors' name of a torch dtype, or BF16 if a config does not tell."""
    text = name.removeprefix("torch.") if isinstance(name, str) else ""
    return _FLOATS.get(text, "BF16")


def _gptq(data: Mapping[str, Any], dtype: str) -> Quantisation:
    bits, group = _number(data, "bits", 4), _number(data, "group_size", 128)
    _only(data, "checkpoint_format", ("gptq", "gptq_v2"))
    inside = [name for names in _list(data, "modules_in_block_to_quantize") for name in _flat(names)]
    skipped = _dynamic(data.get("dynamic"))
    left = [*_list(data, "modules_to_not_convert")]

    def stays(module: str) -> bool:
        inner = bool(inside) and not any(module.endswith(name) for name in inside)
        return inner or any(pattern.match(module) for pattern in skipped) or named(module, left)

    def pack(out: int, inputs: int) -> list[Part]:
        return packs.gptq(out, inputs, bits, group)

    return Quantisation(f"gptq int{bits} g{group}", pack, stays, head=data.get("lm_head") is True)


def _awq(data: Mapping[str, Any], dtype: str) -> Quantisation:
    bits, group = _number(data, "bits", 4), _number(data, "group_size", 128)
    version = str(data.get("version") or "gemm").lower()
    if version != "gemm":
        raise UnsupportedError(f"AWQ of the version {shown(version)} is not understood; gemm is", where=WHERE)
    left = _list(data, "modules_to_not_convert")
    return Quantisation(
        f"awq int{bits} g{group}",
        lambda out, inputs: packs.awq(out, inputs, bits, group),
        lambda name: named(name, left),
    )


def _bitsandbytes(data: Mapping[str, Any], dtype: str) -> Quantisation:
    left = _list(data, "llm_int8_skip_modules") or ["lm_head"]
    if data.get("load_in_8bit") or data.get("_load_in_8bit"):
        return Quantisation("bitsandbytes int8", packs.bnb8, lambda name: named(name, left))
    if not (data.get("load_in_4bit") or data.get("_load_in_4bit")):
        raise DescriptionError("bitsandbytes with neither load_in_8bit nor load_in_4bit", where=WHERE)
    if data.get("bnb_4bit_quant_storage", "uint8") != "uint8":
        storage = shown(data["bnb_4bit_quant_storage"])
        raise UnsupportedError(f"4 bits stored as {storage} are not understood; uint8 is", where=WHERE)
    kind, nested = str(data.get("bnb_4bit_quant_type", "fp4")), bool(data.get("bnb_4bit_use_double_quant"))
    if kind not in ("nf4", "fp4"):
        raise UnknownNameError("bnb_4bit_quant_type", kind, ("nf4", "fp4"), where=WHERE)
    name = f"bitsandbytes {kind}{' double' if nested else ''}"
    return Quantisation(name, lambda out, inputs: packs.bnb4(out, inputs, kind, nested), lambda name: named(name, left))


def _fp8(data: Mapping[str, Any], dtype: str) -> Quantisation:
    size = data.get("weight_block_size")
    tile = None if size is None else _pair(size, "weight_block_size")
    left = [*_list(data, "modules_to_not_convert"), *_list(data, "ignored_layers")]
    static = ".input_scale" if data.get("activation_scheme") == "static" else ""
    small = data.get("scale_fmt") == "ue8m0"
    scale, kind = (".scale", "F8_E8M0") if small else (".weight_scale_inv" if tile else ".weight_scale", "F32")
    name = f"fp8 {tile[0]}x{tile[1]}" if tile else "fp8"

    def pack(out: int, inputs: int) -> list[Part]:
        return packs.fp8(out, inputs, tile, scale, kind, static)

    experts = data.get("expert_dtype")
    if experts not in (None, "fp8", "fp4"):
        raise UnsupportedError(f"experts in {shown(experts)} are not understood; fp8 and fp4 are", where=WHERE)
    routed = packs.fp4_experts if experts == "fp4" else None
    return Quantisation(name, pack, lambda name: named(name, left), pack_experts=routed)


def _fbgemm(data: Mapping[str, Any], dtype: str) -> Quantisation:
    left = _list(data, "modules_to_not_convert")

    def pack(out: int, inputs: int) -> list[Part]:
        return packs.scaled(out, inputs, "F8_E4M3", (out, 1), "F32")

    return Quantisation("fp8 channel", pack, lambda name: named(name, left))


def _modelopt(data: Mapping[str, Any], dtype: str) -> Quantisation:
    algorithm = data.get("quant_algo") or (data.get("quantization") or {}).get("quant_algo")
    if algorithm not in ("NVFP4", "FP8"):
        raise UnsupportedError(f"ModelOpt's {shown(algorithm)} is not understood; NVFP4 and FP8 are", where=WHERE)
    left = matcher([*_list(data, "ignore"), *_list(data, "exclude_modules")])
    groups = data.get("config_groups")
    weights = [one.get("weights") for one in groups.values()] if isinstance(groups, dict) and groups else [None]
    sizes = {one.get("group_size", packs.NV_BLOCK) for one in weights if isinstance(one, dict)}
    if algorithm == "NVFP4" and sizes - {packs.NV_BLOCK}:
        raise UnsupportedError(f"NVFP4 in groups of {shown(sizes)} is not understood; 16 are", where=WHERE)

    def pack(out: int, inputs: int) -> list[Part]:
        return (
            packs.nvfp4(out, inputs)
            if algorithm == "NVFP4"
            else packs.fp8(out, inputs, None, ".weight_scale", "F32", ".input_scale")
        )

    return Quantisation(f"modelopt {algorithm.lower()}", pack, left, head=True)


def _mxfp4(data: Mapping[str, Any], dtype: str) -> Quantisation:
    left = matcher(_list(data, "modules_to_not_convert"))
    return Quantisation("mxfp4", packs.mxfp4, left, experts_only=True)


def _compressed(data: Mapping[str, Any], dtype: str) -> Quantisation:
    groups, sparse = data.get("config_groups"), data.get("sparsity_config") or {}
    if not isinstance(sparse, dict) or sparse.get("format", "dense") != "dense":
        raise UnsupportedError("sparse matrices of compressed-tensors are not understood", where=WHERE)
    if not isinstance(groups, dict) or len(groups) != 1:
        count = len(groups) if isinstance(groups, dict) else "no"
        raise UnsupportedError(f"compressed-tensors with {count} config_groups; one is understood", where=WHERE)
    group = next(iter(groups.values()))
    if not isinstance(group, dict) or not isinstance(group.get("weights"), dict):
        raise DescriptionError("the group of compressed-tensors has no weights", where=WHERE)
    targets = _list(group, "targets") or ["Linear"]
    ignored = matcher(_list(data, "ignore"))
    wanted = None if "Linear" in targets else matcher(targets)
    form = group.get("format") or data.get("format")
    pack, name = _compressed_pack(str(form), group, scale_type(dtype))
    return Quantisation(name, pack, lambda module: ignored(module) or bool(wanted and not wanted(module)), head=True)


def _compressed_pack(form: str, group: Mapping[str, Any], scale: str) -> tuple[Callable[..., list[Part]], str]:
    weights = group["weights"]
    activations = group.get("input_activations")
    static = isinstance(activations, dict) and not activations.get("dynamic", False)
    bits, strategy = _number(weights, "num_bits", 8), weights.get("strategy") or "tensor"
    size = _number(weights, "group_size", -1) if strategy == "group" else -1
    symmetric, ordered = weights.get("symmetric", True) is True, weights.get("actorder") == "group"
    if form == "pack-quantized":
        return (
            lambda out, inputs: packs.packed(out, inputs, bits, size, symmetric, ordered, scale)
        ), f"compressed int{bits}{f' g{size}' if size > 0 else ' channel'}"
    if form == "nvfp4-pack-quantized":
        return (lambda out, inputs: packs.nvfp4_compressed(out, inputs, activations is not None)), "compressed nvfp4"
    if form not in ("float-quantized", "int-quantized", "naive-quantized") or bits != packs.BITS["I8"]:
        raise UnsupportedError(f"compressed-tensors in {bits} bits as {shown(form)} is not understood", where=WHERE)
    kind = "F8_E4M3" if weights.get("type") == "float" else "I8"
    tile = _pair(weights.get("block_structure") or [_TILE, _TILE], "block_structure") if strategy == "block" else None

    def pack(out: int, inputs: int) -> list[Part]:
        shapes: dict[str, Shape] = {"tensor": (1,), "channel": (out, 1)}
        if tile:
            shapes["block"] = (packs.over(out, tile[0]), packs.over(inputs, tile[1]))
        if strategy not in shapes:
            raise UnsupportedError(
                f"the strategy {shown(strategy)} of compressed-tensors is not understood", where=WHERE
            )
        return packs.scaled(out, inputs, kind, shapes[strategy], scale, symmetric, static)

    return pack, f"compressed {'fp8' if kind == 'F8_E4M3' else 'int8'} {strategy}"


METHODS: dict[str, Callable[[Mapping[str, Any], str], Quantisation]] = {
    "gptq": _gptq, "awq": _awq, "bitsandbytes": _bitsandbytes, "fp8": _fp8, "fbgemm_fp8": _fbgemm,
    "compressed-tensors": _compressed, "modelopt": _modelopt, "mxfp4": _mxfp4,
}  # fmt: skip


def _only(data: Mapping[str, Any], key: str, known: tuple[str, ...]) -> None:
    value = data.get(key)
    if value is not None and value not in known:
        raise UnsupportedError(f"{key} {shown(value)} is not understood; {' and '.join(known)} are", where=WHERE)


def _dynamic(data: Any) -> list[re.Pattern[str]]:
    """GPTQModel's exceptions by expression: those that leave modules out; others change how they are stored."""
    if data is None or data is False:
        return []
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise DescriptionError(f"dynamic is {shown(data)}; it maps expressions to settings", where=WHERE)
    if not all(key.startswith("-:") for key in data):
        raise UnsupportedError("GPTQ with settings of their own for some modules is not understood", where=WHERE)
    return [re.compile(expression(key[2:])) for key in data]


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    if value is None:
        return []
    flat = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if not flat and not (key == "modules_in_block_to_quantize" and isinstance(value, list)):
        raise DescriptionError(f"{key} is {shown(value)}; it is a list of texts", where=WHERE)
    return list(value)


def _flat(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in found):
        raise DescriptionError(f"modules_in_block_to_quantize holds {shown(value)}", where=WHERE)
    return found


def _number(data: Mapping[str, Any], key: str, default: int) -> int:
    value = data.get(key)
    if value is None:
        return default
    if type(value) is not int or not (value == -1 or 1 <= value <= 1 << 20):
        raise DescriptionError(f"{key} is {shown(value)}; it is a positive whole number or -1", where=WHERE)
    return value


def _pair(value: Any, key: str) -> tuple[int, int]:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(type(one) is int and 0 < one <= 1 << 20 for one in value)
    ):
        raise DescriptionError(f"{key} is {shown(value)}; it is two positive whole numbers", where=WHERE)
    return value[0], value[1]
