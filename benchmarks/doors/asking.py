"""Random command lines, of options, of engines and with files, whose screens offer further commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from llmcalc.data import table
from llmcalc.schema.preset_files import sized_files

Words = list[str]
CARDS = (
    "h100", "h200", "b200-180gb", "a100-sxm-80gb", "a100-sxm-40gb", "mi300x", "l40s", "rtx4090", "rtx3090", "l4", "t4",
)  # fmt: skip
COUNTS = (1, 1, 2, 4, 8)
SERVERS = ("vllm", "vllm", "sglang", "tensorrt-llm", "llama.cpp")
GGUF = ("q4_k_m", "q8_0", "q6_k", None)
LIBRARY = (
    "qwen3:8b", "qwen3:32b", "llama3.1:70b", "llama3.2:3b", "gemma3:27b", "qwen2.5:72b", "deepseek-r1:70b", "qwen3:30b",
    "gpt-oss:20b", "mistral:7b", "llama3.3", "qwen3:235b",
)  # fmt: skip
TRAINING = (
    "base_model: {repo}\nsequence_len: 2048\nmicro_batch_size: 4\noptimizer: adamw_torch\nbf16: auto\nmax_steps: 100\n",
    "base_model: {repo}\nadapter: lora\nlora_r: 16\nlora_target_modules: [q_proj, v_proj]\nsequence_len: 8192\n"
    "micro_batch_size: 8\noptimizer: adamw_torch\nbf16: auto\nnum_epochs: 1\nmax_steps: 100\n",
    "base_model: {repo}\nsequence_len: 4096\nmicro_batch_size: 2\noptimizer: adamw_torch\nbf16: auto\nmax_steps: 50\n"
    "gradient_checkpointing: true\n",
)


class Asking:
    """Draws command lines, and the files that they name, in a folder."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random, self.folder = Random(seed), folder
        self.models = [f"{Path(file).stem}:{size}" for file, size in sized_files()]
        self.repositories = sorted(set(map(str, table("repositories").values())))

    def maybe(self, flag: str, *values: Any, share: float = 0.3) -> Words:
        """Return an option with one of several values, at times."""
        return [flag, str(self.random.choice(values))] if self.random.random() < share else []

    def gpu(self, *, several: bool = True) -> str:
        """Return a GPU with a number of them."""
        card, count = self.random.choice(CARDS), self.random.choice(COUNTS) if several else 1
        return f"{card}:{count}" if count > 1 else card

    def model(self) -> str:
        """Return a preset, at times one that is often served."""
        known = table("repositories")
        return self.random.choice(self.models if self.random.random() < 0.6 else [*known])

    def file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        return str(path)

    def next(self, name: str = "") -> Words:
        """Return a command line, of the kind of this name if one is given."""
        kinds = dict(KINDS)
        return kinds[name or self.random.choices([*kinds], weights=[WEIGHTS.get(kind, 1) for kind in kinds])[0]](self)


def _start_settings(asking: Asking) -> Words:
    engine = asking.random.choice(SERVERS)
    own = ["--engine", engine] if asking.random.random() < 0.7 else []
    formats = GGUF if engine == "llama.cpp" and own else ("fp8", "bf16", "awq-int4-g128", "int8")
    formats = [each for each in formats if each]
    layout = [] if engine == "llama.cpp" else [
        *asking.maybe("--tp", 1, 2, 4, 8, share=0.25), *asking.maybe("--pp", 2, share=0.08),
    ]  # fmt: skip
    return [
        *own, *asking.maybe("--weights", *formats, share=0.25), *layout,
        *asking.maybe("--cache", *(("q8_0",) if engine == "llama.cpp" else ("fp8",)), share=0.15),
        *asking.maybe("--max-model-len", 4096, 32768, "128k", share=0.4),
        *asking.maybe("--max-num-seqs", 16, 256, 1024, share=0.15),
        *asking.maybe("--gpu-memory-utilization", 0.8, 0.95, share=0.1),
    ]  # fmt: skip


def _requests(asking: Asking) -> Words:
    isl, osl = asking.random.choice((512, 1000, 8000, 30000)), asking.random.choice((128, 500, 1000))
    return ["--isl", str(isl), "--osl", str(osl)]


def _load(asking: Asking) -> Words:
    return [*_requests(asking), *asking.maybe("--concurrency", 1, 16, 64, 256, 1000, share=0.8)]


def start(asking: Asking) -> Words:
    """Return a question about the start of an engine."""
    return ["serve", asking.model(), "--gpu", asking.gpu(), *_start_settings(asking)]


def engine_line(asking: Asking) -> str:
    """Return the command line of an engine."""
    engine, random, maybe = asking.random.choice(SERVERS), asking.random, asking.maybe
    repository = random.choice(asking.repositories)
    repository = asking.random.choice(asking.models) if random.random() < 0.2 else repository
    if engine == "vllm":
        own = [
            *maybe("-tp", 1, 2, 4, 8, share=0.6), *maybe("-pp", 2, share=0.15),
            *maybe("--max-model-len", 4096, 32768, "128k", share=0.5), *maybe("--max-num-seqs", 16, 512, share=0.2),
            *maybe("--gpu-memory-utilization", 0.85, 0.95, share=0.2), *maybe("--kv-cache-dtype", "fp8", share=0.1),
            *maybe("--quantization", "fp8", share=0.15), *maybe("--data-parallel-size", 2, share=0.08),
            *maybe("--max-num-batched-tokens", 2048, 16384, share=0.1),
        ]  # fmt: skip
        own += ["--enable-expert-parallel"] if random.random() < 0.1 else []
        own += ["--config", _engine_file(asking)] if random.random() < 0.1 else []
        return shlex.join(["vllm", "serve", repository, *own])
    if engine == "sglang":
        own = [
            *maybe("--tp", 1, 2, 4, 8, share=0.6), *maybe("--context-length", 4096, 32768, share=0.5),
            *maybe("--mem-fraction-static", 0.8, 0.9, share=0.2), *maybe("--quantization", "fp8", share=0.15),
            *maybe("--max-running-requests", 32, 256, share=0.2),
        ]  # fmt: skip
        return shlex.join(["python", "-m", "sglang.launch_server", "--model-path", repository, *own])
    if engine == "tensorrt-llm":
        own = [*maybe("--tp_size", 1, 2, 4, 8, share=0.6), *maybe("--max_seq_len", 4096, 32768, share=0.5),
               *maybe("--max_batch_size", 16, 512, share=0.2)]  # fmt: skip
        return shlex.join(["trtllm-serve", repository, *own])
    if random.random() < 0.25:
        length = maybe("OLLAMA_CONTEXT_LENGTH", 8192, 65536, share=0.5)
        return " ".join((*(["=".join(length)] if length else []), "ollama", "run", random.choice(LIBRARY)))
    weights = random.choice(GGUF) or "bf16"
    own = [*maybe("-c", 4096, 32768, 131072, share=0.7), *maybe("-ngl", 99, 20, share=0.3),
           *maybe("-ctk", "q8_0", share=0.1), *maybe("-np", 4, share=0.1)]  # fmt: skip
    return shlex.join(["llama-server", "-m", f"{repository.rpartition('/')[2]}-{weights.upper()}.gguf", *own])


def _engine_file(asking: Asking) -> str:
    lines = ["tensor-parallel-size: 2", "max-model-len: 16384", "gpu-memory-utilization: 0.85"]
    return asking.file("engine.yaml", "\n".join(asking.random.sample(lines, 2)) + "\n")


def start_of_line(asking: Asking) -> Words:
    """Return a question about the start of a command line."""
    return ["serve", "--gpu", asking.gpu(), "--", *shlex.split(engine_line(asking))]


def modelfile(asking: Asking) -> str:
    """Write a Modelfile and return its path."""
    lines = [f"FROM {asking.random.choice(LIBRARY)}"]
    lines += (
        [f"PARAMETER num_ctx {asking.random.choice((8192, 32768, 131072))}"] if asking.random.random() < 0.6 else []
    )
    lines += ["PARAMETER num_gpu 20"] if asking.random.random() < 0.15 else []
    lines += ["PARAMETER num_batch 1024"] if asking.random.random() < 0.15 else []
    return asking.file("Modelfile", "\n".join(lines) + "\n")


def start_of_file(asking: Asking) -> Words:
    """Return a question about the start of a Modelfile."""
    own = asking.maybe("--cache", "q8_0", share=0.2) + asking.maybe("--max-num-seqs", 4, share=0.1)
    return ["serve", modelfile(asking), "--gpu", asking.gpu(), *own]


def times(asking: Asking) -> Words:
    """Return a question about times on a layout."""
    return ["serve", asking.model(), "--gpu", asking.gpu(), *_start_settings(asking), *_load(asking)]


def times_of_line(asking: Asking) -> Words:
    """Return a question about times of a command line."""
    return ["serve", "--gpu", asking.gpu(), *_load(asking), "--", *shlex.split(engine_line(asking))]


def times_of_file(asking: Asking) -> Words:
    """Return a question about times of a Modelfile."""
    return ["serve", modelfile(asking), "--gpu", asking.gpu(), *_load(asking)]


def limits(asking: Asking) -> Words:
    """Return a question about limits on times."""
    own = ["--sla", asking.random.choice(("tpot=30ms", "ttft=500ms,tpot=20ms", "tpot=10ms", "e2e=5s", "ttft=100ms"))]
    settings = [] if asking.random.random() < 0.7 else _start_settings(asking)
    if asking.random.random() < 0.25:
        return ["serve", "--gpu", asking.gpu(), *own, *_load(asking), "--", *shlex.split(engine_line(asking))]
    return ["serve", asking.model(), "--gpu", asking.gpu(), *settings, *_load(asking), *own]


def front(asking: Asking) -> Words:
    """Return a question about a front."""
    engine = asking.maybe("--engine", "vllm", "sglang", "tensorrt-llm")
    return ["serve", asking.model(), "--gpu", asking.gpu(), "--pareto", *engine, *_requests(asking)]


def pools(asking: Asking) -> Words:
    """Return a question about two pools."""
    pool = asking.random.choice(("1xtp1", "1xtp2", "2xtp2", "1xtp4", "1xdp4ep4"))
    return [
        "serve", asking.model(), "--gpu", f"{asking.random.choice(CARDS)}:8", "--prefill-pool", pool,
        *asking.maybe("--tp", 1, 2, 4), *_load(asking),
    ]  # fmt: skip


def several(asking: Asking) -> Words:
    """Return a question about several kinds of GPUs."""
    gpus = "all" if asking.random.random() < 0.1 else ",".join(asking.gpu() for _ in range(2))
    own = asking.maybe("--sla", "tpot=30ms", "ttft=500ms,tpot=20ms", share=0.4)
    if asking.random.random() < 0.3:
        return ["serve", "--gpu", gpus, *_load(asking), *own, "--", *shlex.split(engine_line(asking))]
    if asking.random.random() < 0.2:
        return ["serve", modelfile(asking), "--gpu", gpus, *_load(asking), *own]
    return ["serve", asking.model(), "--gpu", gpus, *_load(asking), *own]


def latency(asking: Asking) -> Words:
    """Return a question about a batch."""
    lengths = asking.random.choice(
        ([], ["--context", "8192"], ["--seq", "4096"], ["--seq", "2048", "--new-tokens", "256"])
    )
    return [
        "latency", asking.model(), "--gpu", asking.gpu(), *asking.maybe("--batch", 1, 8, 64, 512, share=0.7), *lengths,
        *asking.maybe("--weights", "fp8", share=0.1), *asking.maybe("--tp", 2, 4, share=0.1),
        *asking.maybe("--engine", *SERVERS, share=0.3),
    ]  # fmt: skip


def rl(asking: Asking) -> Words:
    """Return a question about a step of reinforcement learning."""
    return [
        "rl", asking.model(), "--gpu", asking.gpu(), *asking.maybe("--completion", 1024, 8192),
        *asking.maybe("--lora-rank", 16, share=0.2), *asking.maybe("--engine-tp", 2, share=0.15),
        *asking.maybe("--rollout", "separate", share=0.15), *asking.maybe("--algorithm", "ppo", share=0.2),
        *asking.maybe("--share", 0.5, share=0.15), *asking.maybe("--dp", 2, 4, share=0.1),
    ]  # fmt: skip


def fit(asking: Asking) -> Words:
    """Return a question about memory."""
    own = asking.random.choice(([], [], ["--training"], ["--lora-rank", "16"], ["--solve", "batch"]))
    return [
        "fit", asking.model(), "--gpu", asking.gpu(), *own, *asking.maybe("--batch", 1, 8, 64, 256, share=0.5),
        *asking.maybe("--seq", 2048, 32768, share=0.5),
    ]  # fmt: skip


def fit_of_file(asking: Asking) -> Words:
    """Return a question about the memory of a training program's file."""
    text = asking.random.choice(TRAINING).format(repo=asking.random.choice(asking.repositories))
    own = asking.maybe("--batch", 16, 64, share=0.3) + asking.maybe("--seq", 16384, share=0.2)
    return ["fit", asking.file("train.yml", text), "--gpu", asking.gpu(), *own]


def train(asking: Asking) -> Words:
    """Return a question about a training run."""
    if asking.random.random() < 0.3:
        text = asking.random.choice(TRAINING).format(repo=asking.random.choice(asking.repositories))
        return ["train", asking.file("train.yml", text), "--gpu", asking.gpu()]
    return [
        "train", asking.model(), *asking.maybe("--gpu", *(f"{card}:8" for card in CARDS), share=0.8),
        *asking.maybe("--tokens", "1B", "1T", share=0.8), *asking.maybe("--dp", 8, 4, share=0.3),
        *asking.maybe("--seq", 4096, 65536, share=0.2),
    ]  # fmt: skip


def design(asking: Asking) -> Words:
    """Return a question about shapes near a target."""
    family = asking.random.choice(asking.models).partition(":")[0]
    return ["design", family, "--params", asking.random.choice(("1B", "7B", "70B"))]


KINDS: dict[str, Callable[[Asking], Words]] = {
    one.__name__: one
    for one in (
        start, start_of_line, start_of_file, times, times_of_line, times_of_file, limits, front, pools, several,
        latency, rl, fit, fit_of_file, train, design,
    )
}  # fmt: skip
WEIGHTS = {"start": 3, "start_of_line": 4, "times": 3, "times_of_line": 2, "limits": 2, "front": 0.3, "latency": 2}
