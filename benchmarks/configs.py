"""Measure the time to read and count a Hugging Face config, and to build the same model on the meta device.

    python benchmarks/configs.py [FAMILIES]

The class defaults of each family serve as its config. *first* measures the first use of a family in the process.
*again* measures a different size of that family, so equations are already parsed but no layer is cached. FAMILIES is
the number of families to build with transformers (default: 5, 0 for none). Import time is reported separately.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import llmcalc
from llmcalc.importers.hf import families

DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
MANY = 1000
SIZED = ("vocab_size", "num_hidden_layers", "num_layers", "n_layer", "encoder_layers")


def configs() -> Iterator[dict[str, Any]]:
    """Yield a config for each family whose defaults describe a model."""
    for model_type in families.names():
        file = DEFAULTS / f"{model_type}.json"
        config = {"model_type": model_type}
        try:
            llmcalc.load(config)
        except llmcalc.InputError:
            continue
        known = json.loads(file.read_text("utf-8"))["defaults"] if file.is_file() else {}
        yield {**config, **{key: known[key] for key in SIZED if isinstance(known.get(key), int)}}


def count(config: dict[str, Any]) -> int:
    return llmcalc.params(llmcalc.load(config)).total


def milliseconds(run: Callable[[dict[str, Any]], object], config: dict[str, Any]) -> float:
    """Measure the CPU time of a call, which depends less on other load than wall-clock time."""
    begin = time.process_time()
    run(config)
    return (time.process_time() - begin) * 1000


def resized(config: dict[str, Any], number: int) -> dict[str, Any]:
    """Change the vocabulary size of a config that has one."""
    return {**config, "vocab_size": config["vocab_size"] + number} if "vocab_size" in config else config


def ours() -> None:
    found = list(configs())
    from llmcalc.core.architecture import shared_declaration

    shared_declaration.cache_clear()
    first = [milliseconds(count, config) for config in found]
    again = [milliseconds(count, resized(config, 8)) for config in found]
    many = [resized(random.Random(number).choice(found), number) for number in range(MANY)]
    begin, busy = time.perf_counter(), time.process_time()
    for config in many:
        count(config)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    print(f"{len(found)} families           median ms    max ms")
    for name, times in (("first", first), ("again", again)):
        print(f"{name:22}  {statistics.median(times):9.3f}  {max(times):8.2f}")
    print(f"{MANY} configs, one process  {busy:.2f} s CPU time, {seconds:.2f} s wall-clock time")


def theirs(number: int) -> None:
    begin = time.perf_counter()
    import torch
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print(f"\ntransformers {transformers.__version__}: imports {time.perf_counter() - begin:.1f} s")

    def build(config: dict[str, Any]) -> int:
        made = CONFIG_MAPPING[config["model_type"]]()
        with torch.device("meta"):
            model = getattr(transformers, CLASSES[config["model_type"]])(made)
        return sum(parameter.numel() for parameter in model.parameters())

    chosen = [config for config in configs() if config["model_type"] in CLASSES][:number]
    times = []
    for config in chosen:
        own, other = count({"model_type": config["model_type"]}), build(config)
        times.append(milliseconds(build, config))
        print(f"{config['model_type']:22}  {times[-1]:9.1f} ms, {'equal' if own == other else f'{own:,} != {other:,}'}")
    print(f"{'median':22}  {statistics.median(times):9.1f} ms on the meta device, warm")


if __name__ == "__main__":
    ours()
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if wanted:
        theirs(wanted)
