"""Devices on which llama.cpp stores the weights and the KV cache: layers, experts and overridden tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.weight_formats import RequestedFormats, layer_bits, model_tensors
from ..calc.params import component, params
from ..checkpoint.published_weights import PublishedWeights
from ..checkpoint.stored_tensors import Declared, declared, name_in_layout
from ..core.architecture import Architecture
from ..core.errors import InputError, short_repr
from ..core.layer import MOST_LAYERS
from ..core.record import NamedTuple, remembered

LAYOUT = "gguf"  # names of tensors of weights that are not read from a file
EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"  # common/common.h: LLM_FFN_EXPS_REGEX
DENSE = r"\.ffn_(up|down|gate|gate_up)\."
HOST = None
OUTPUT_FIRST = 7_470  # about the first build that places the output layer before all others: pull request 18148
MOST_REPEATS = 3  # of a pattern, so that it is matched in a short time
_REPEATS, _NESTED = r"[*+{]", r"\)[*+{]"
Weights = RequestedFormats | PublishedWeights
_BUFFER = r"[A-Za-z]+?_?(\d+)$"  # CUDA0, ROCm1 and Vulkan0; CPU and CUDA_Host are host memory


class PlacedTensor(NamedTuple):
    """A stored tensor: its GGUF name, layer (-1 for the inputs and ``n_layers`` for the outputs), bytes and class."""

    name: str
    layer: int
    n_layers: int
    bytes: int
    is_matrix: bool
    component: str


class Placement(NamedTuple):
    """Devices of layers and tensors.

    Attributes:
        gpu_layers: number of layers on the GPUs, including the output layer (None: all).
        overrides: patterns of tensor names with the number of the GPU, or None for host memory. The first match counts.
        output_first: whether the output layer is the first one that is stored on a GPU.
        devices: number of GPUs, which share the layers evenly.
    """

    gpu_layers: int | None = None
    overrides: tuple[tuple[re.Pattern[str], int | None], ...] = ()
    output_first: bool = True
    devices: int = 1

    def device(self, layer: int, n_layers: int) -> int | None:
        """Return the number of the GPU that stores a layer, or None for host memory."""
        n_gpu = n_layers + 1 if self.gpu_layers is None else min(self.gpu_layers, n_layers + 1)
        place = layer - max(n_layers + self.output_first - n_gpu, 0)
        return place * self.devices // n_gpu if 0 <= place < n_gpu and layer >= 0 else HOST

    def device_of(self, tensor: PlacedTensor) -> int | None:
        """Return the number of the GPU that stores a tensor, or None for host memory."""
        for pattern, device in self.overrides:
            if pattern.search(tensor.name):
                return device
        return self.device(tensor.layer, tensor.n_layers)

    def layer_ranges(self, n_layers: int) -> dict[int | None, range]:
        """Return the layers of each device, of those that have any."""
        devices = [self.device(layer, n_layers) for layer in range(n_layers)]
        return {one: range(devices.index(one), n_layers - devices[::-1].index(one)) for one in dict.fromkeys(devices)}


class DeviceWeights(NamedTuple):
    """Bytes of the weights of each device (None: host memory), and of the largest matrix in host memory."""

    by_device: Mapping[int | None, int]
    largest_on_host: int


def placed_tensors(architecture: Architecture, weights: Weights) -> tuple[PlacedTensor, ...]:
    """Return the stored tensors of a model. A tied table is stored for the inputs and for the output."""
    key = id(weights) if isinstance(weights, PublishedWeights) else weights
    return remembered(
        architecture, "_placed_tensors", key, lambda: (weights, tuple(_list_tensors(architecture, weights))), most=64
    )[1]


def _list_tensors(architecture: Architecture, weights: Weights) -> list[PlacedTensor]:
    model, found = model_tensors(architecture), []
    if isinstance(weights, PublishedWeights):
        sizes = ((tensor, bits) for tensor, _, bits in weights.placed(architecture))
    else:
        own = declared(params(architecture), LAYOUT, buffers=True, each=False)
        sizes = ((each, sum(layer_bits(row, weights, model, each.number) for row in each.rows)) for each in own)
    is_file = isinstance(weights, PublishedWeights) and weights.has_host_table
    for tensor, bits in sizes:
        entry = tensor.rows[0].entry
        n_layers = entry.stack.n_layers
        layer = tensor.number if tensor.number is not None else -1 if entry.section == "inputs" else n_layers
        name = tensor.name if is_file else name_in_layout(tensor.rows[0], tensor.number, LAYOUT)
        part = component(tensor.rows[0])
        found.append(PlacedTensor(name, layer, n_layers, -(-bits // BITS_A_BYTE), _is_matrix(tensor), part))
    return found


def _is_matrix(tensor: Declared) -> bool:
    """Return whether a tensor is multiplied with activations, of which tables of inputs are looked up."""
    return any(row.tensor.linear for row in tensor.rows) or tensor.rows[0].entry.section == "outputs"


def device_weights(architecture: Architecture, weights: Weights, placement: Placement) -> DeviceWeights:
    """Return the bytes of the weights on each device. The table of a tied output is also stored with the output."""
    sizes, largest = Counter[int | None](), 0
    tensors = placed_tensors(architecture, weights)
    for tensor in tensors:
        device = placement.device_of(tensor)
        sizes[device] += tensor.bytes
        if device is HOST and tensor.is_matrix:
            largest = max(largest, tensor.bytes)
    if model_tensors(architecture).tied:
        table = next((each for each in tensors if each.layer < 0), None)
        output = placement.device(architecture.main.n_layers, architecture.main.n_layers)
        if table and output is not HOST:
            sizes[output] += table.bytes
        elif table:
            largest = max(largest, table.bytes)
    return DeviceWeights(sizes, largest)


class HostShares(NamedTuple):
    """What a step computes in host memory.

    Attributes:
        components: share of the matrices of each component, by their bytes.
        layers: share of the layers whose keys, values and states are in host memory.
        crossings: how often a step passes from a GPU to the host and back.
    """

    components: Mapping[str, float]
    layers: float
    crossings: int


def host_shares(architecture: Architecture, weights: Weights, placement: Placement) -> HostShares | None:
    """Return what a step computes in host memory, or None if everything is on the GPUs."""
    sizes, on_host = Counter[str](), Counter[str]()
    n_layers, sides = architecture.main.n_layers, dict[tuple[int, bool], set[bool]]()
    for tensor in placed_tensors(architecture, weights):
        if not tensor.is_matrix or tensor.layer < 0:
            continue
        is_on_host = placement.device_of(tensor) is HOST
        sizes[tensor.component] += tensor.bytes
        on_host[tensor.component] += tensor.bytes * is_on_host
        sides.setdefault((tensor.layer, ".ffn_" in tensor.name), set()).add(is_on_host)
    if not any(on_host.values()):
        return None
    states = [any(sides[place]) for place in sorted(sides)]
    crossings = sum(now and not before for before, now in zip([False, *states], states, strict=False))
    layers = sum(placement.device(layer, n_layers) is HOST for layer in range(n_layers)) / n_layers
    return HostShares({name: on_host[name] / size for name, size in sizes.items() if on_host[name]}, layers, crossings)


def read_placement(settings: Mapping[str, Any], build: int, devices: int = 1) -> Placement:
    """Return the placement that options of llama.cpp ask for."""
    n_experts, n_dense = settings.get("cpu_experts") or 0, settings.get("cpu_dense") or 0
    overrides = [*_overrides(settings.get("tensor_overrides") or "")]
    if settings.get("cpu_all_experts"):
        overrides.append((re.compile(EXPERTS), HOST))
    for number, pattern in ((n_experts, EXPERTS), (n_dense, DENSE)):
        if number:
            layers = "|".join(str(layer) for layer in range(min(number, MOST_LAYERS)))
            overrides.append((re.compile(rf"blk\.({layers}){pattern}"), HOST))
    return Placement(settings.get("gpu_layers"), tuple(overrides), build >= OUTPUT_FIRST, devices)


def _overrides(text: str) -> list[tuple[re.Pattern[str], int | None]]:
    """Read overrides such as ``exps=CPU`` or ``ffn_.*_exps=CUDA0``, separated by commas."""
    found = []
    for part in filter(None, text.split(",")):
        pattern, sign, buffer = part.rpartition("=")
        if not sign or not pattern or not buffer:
            hint = "use PATTERN=BUFFER, such as exps=CPU"
            raise InputError(f"invalid override of tensors {part!r}", parameter="command", hint=hint)
        if len(re.findall(_REPEATS, pattern)) > MOST_REPEATS or re.search(_NESTED, pattern):
            text = f"the pattern {short_repr(pattern)} repeats too much in an override of tensors"
            hint = f"use at most {MOST_REPEATS} of * + {{, and none after a group"
            raise InputError(text, parameter="command", hint=hint)
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            message = f"invalid pattern in an override of tensors, {pattern!r}: {error}"
            raise InputError(message, parameter="command") from None
        match = re.fullmatch(_BUFFER, buffer)
        found.append((compiled, int(match[1]) if match else HOST))
    return found
