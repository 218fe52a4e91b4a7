"""How a serving engine starts: its memory, the KV cache, the lines of its log, and changes with which it starts.

``predict.py`` makes a ``Start`` of a ``Deployment``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod

from ...calc.memory.fit import LARGEST, largest_fitting
from ...core.architecture import Architecture
from ...core.errors import spelled
from ...core.evidence import EXACT, FITTED, MEASURED
from ...core.interval import Interval
from ...core.notebook_display import NotebookDisplay
from ...core.record import NOTHING, record
from ...core.type_names import TYPE_CHECKING, Any, ClassVar
from ...engines.profile import GIB, EngineProfile
from ...engines.settings import command_line, states_all
from ...importers.modelfile import TITLE
from .cache import ALIGNED, STATE, CacheGroups
from .memory import PROFILED, STATIC, HostMemory, MemoryDivision
from .pool import CachePool, paged_pool

if TYPE_CHECKING:
    from ...calc.images.rule import ImageSize
    from ..deployment import Deployment
    from .llama_cpp_cache import LlamaCppCache
    from .llama_cpp_models import LlamaCppModel

LAYOUT = ("tp", "pp", "dp")


@record
class Start(NotebookDisplay):
    """How an engine starts a deployment: what it allocates on each GPU, in bytes, and the KV cache that results.

    ``Deployment.start`` makes it. It gives the verdict with its reason, the tokens and requests that the cache holds,
    the lines of the log, the command line, and changed settings with which the engine starts if it does not.

    Attributes:
        deployment: what runs where.
        architecture: the model as the engine loads it.
        profile: engine, its version and its constants.
        settings: settings of the engine, including its defaults.
        memory: division of the memory of one GPU, in the pipeline stage with the fewest blocks.
        groups: groups of cached layers.
        refusals: reasons other than memory for which the engine does not start.
        notes: assumptions about the model.
        warnings: what may make the result wrong.
        placed: sizes of the model on each device in llama.cpp.
        automatic: settings that llama.cpp chooses by itself because the model does not fit without them.
        host: memory of the host.
        host_tokens: tokens of the KV cache in host memory.
        encoder: bytes of the weights of an image encoder that is not a part of the architecture.
        images: sizes of the given images in tokens.
        first_stage: division of the memory in the first of several pipeline stages, if only its ranks print the log.
    """

    deployment: Deployment
    architecture: Architecture
    profile: EngineProfile
    settings: Mapping[str, Any]
    memory: MemoryDivision
    groups: CacheGroups
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    placed: LlamaCppModel | None = None
    automatic: Mapping[str, Any] = NOTHING
    host: HostMemory = HostMemory()
    host_tokens: Interval | None = None
    encoder: int = 0
    images: tuple[ImageSize, ...] = ()
    first_stage: MemoryDivision | None = None

    EVIDENCE: ClassVar[Mapping[str, str]] = {
        "weights": EXACT, "host": EXACT, "budget": MEASURED,
        **dict.fromkeys(("activation", "non_torch", "cuda_graphs", "available"), FITTED),
        **dict.fromkeys(("blocks", "tokens", "concurrency", "longest", "starts"), FITTED),
    }  # fmt: skip

    @property
    def model(self) -> str:
        """Model as it was given."""
        return self.deployment.title

    def retry(self, change: Mapping[str, Any]) -> Start:
        """Return the result of changed settings. A changed size leaves the other sizes of the layout as they are."""
        sizes = {name: self.settings[name] for name in LAYOUT if name in self.settings}
        kept = sizes if change.keys() & set(LAYOUT) and not self.settings.get("attention_dp") else {}
        return self.deployment.with_change({**kept, **change}).start()

    @property
    def buffers(self) -> LlamaCppCache | None:
        """KV cache buffers of llama.cpp, on all devices."""
        return self.placed.buffers if self.placed else None

    @property
    def logged_memory(self) -> MemoryDivision:
        """Division of the memory on the ranks that print the log."""
        return self.first_stage or self.memory

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.profile.name

    @property
    def engine_title(self) -> str:
        """Name and version of the engine, and that of Ollama if it starts the engine."""
        own = f"{self.profile.title} {self.profile.version}"
        return f"{TITLE}, with {own}" if self.deployment.is_ollama else own

    @property
    def ranks(self) -> int:
        """Number of GPUs of all replicas."""
        return int(prod(self.settings.get(name, 1) for name in LAYOUT))

    @property
    def max_model_len(self) -> int:
        """Longest request in tokens."""
        return int(self.settings["max_model_len"])

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest sequence. The context of llama.cpp is divided between the sequences."""
        is_divided = self.placed and not self.settings.get("unified")
        return self.max_model_len // (self.settings["max_num_seqs"] if is_divided else 1)

    @property
    def excess(self) -> str:
        """That the longest sequence has more tokens than the model accepts, if the engine accepts it, or empty."""
        return self.deployment.limit.excess(self.longest_sequence)

    @cached_property
    def blocks(self) -> Interval:
        """Number of blocks of the KV cache."""
        if self.settings.get("num_blocks"):
            return Interval.exact(self.settings["num_blocks"])
        size = float(self.groups.block_bytes) or 1.0
        most = self.settings.get("max_total_tokens", LARGEST) // self.settings["block_size"]
        left = self.memory.available.each(lambda bytes_: bytes_ - float(self.groups.states.size(bytes_)))
        return left.each(lambda bytes_: min(max(int(bytes_ // size), 0), most))

    @cached_property
    def request_blocks(self) -> int:
        """Number of blocks that a request of ``max_model_len`` tokens needs."""
        return self._request_blocks(self.max_model_len)

    def _request_blocks(self, tokens: int, is_counted: bool = False) -> int:
        """Return the blocks that a request needs, or those that the log counts."""
        own = -(-tokens // self.settings.get("dcp", 1))  # the ranks share the tokens of a request
        step = self.settings["max_num_batched_tokens"] * self.settings.get("steps_in_flight", 1)
        count = self.groups.counted_blocks if is_counted else self.groups.request_blocks
        return count(own, step, self._state_blocks)

    @property
    def _state_blocks(self) -> int:
        """Blocks of a request in a group of recurrent states: one more for each drafted token (MambaSpec of vLLM).

        A model whose states of all blocks are kept has one for each of them beside those.
        """
        own = 2 if self.settings.get("kept_states") == ALIGNED else 1
        return own + int(self.settings.get("kept_drafts", 0))

    @cached_property
    def pool(self) -> CachePool:
        """What a request occupies in the KV cache of a rank, as the scheduler of the engine fills it."""
        if self.placed:
            return self.placed.pool(self.memory.available.best, self.max_model_len)
        space = self.blocks.best * float(self.groups.block_bytes)
        most = self.groups.states.most_requests(self.memory.available.best)
        return paged_pool(self.groups, space, self._state_blocks, self.settings.get("dcp", 1), most)

    @cached_property
    def concurrency(self) -> Interval:
        """Number of requests of ``max_model_len`` tokens that fit into the KV cache, as the engine counts them."""
        if placed := self.placed:
            return self.memory.available.each(placed.contexts)
        if self.profile.rule == PROFILED:
            counted = max(self._request_blocks(self.max_model_len, is_counted=True), 1)
            return self.blocks.each(lambda blocks: blocks / counted)
        size, pool, states = float(self.groups.block_bytes), self.pool, self.groups.states
        found = self.blocks.each(lambda blocks: blocks * size / max(pool.bytes_of(self.max_model_len), 1.0))
        return found.each(min, self.memory.available.each(states.most_requests)) if states.is_pool else found

    @cached_property
    def tokens(self) -> Interval:
        """Size of the KV cache in tokens, as the engine counts them."""
        if self.settings["cache_tokens"] == "context":
            return Interval.exact(self.max_model_len)
        if self.settings["cache_tokens"] == "requests":
            return self.concurrency.each(lambda times: int(times * self.max_model_len))
        groups = self.groups.groups
        sizes = [group.block_size for group in groups if group.kind != STATE] or [group.block_size for group in groups]
        size = min(sizes) * self.settings.get("dcp", 1)
        return self.blocks.each(lambda blocks: int(blocks) // self.groups.n_groups * size)

    @property
    def most_states(self) -> Interval | None:
        """Most sequences for which there are recurrent states, if the engine refuses to start with more, or None.

        vLLM captures decode steps of ``max_num_seqs`` sequences, each of which has a block of states.
        """
        is_limited = self.settings.get("limits_states") and not self.settings.get("enforce_eager")
        has_states = any(group.kind == STATE for group in self.groups.groups)
        return self.blocks if is_limited and has_states else None

    @property
    def most_sequences(self) -> int:
        """Most sequences that the settings allow, or for which there are recurrent states if the engine needs them."""
        own, most = int(self.settings["max_num_seqs"]), self.most_states
        ends = (most.low, most.best) if most else ()  # the low one has none if memory may be too short
        return min(own, next((int(end) for end in ends if end >= 1), own))

    def _holds_longest(self, case: int) -> bool:
        if not self.settings["needs_whole_request"]:
            return self.tokens[case] >= 1
        return self.concurrency[case] >= 1 if self.buffers else self._request_fits(self.max_model_len, case)

    def _request_fits(self, tokens: int, case: int) -> bool:
        """Return whether the cache is large enough for a request, as the engine checks it."""
        blocks, needed = self.blocks[case], max(self._request_blocks(tokens), 1)
        if checked := self.groups.checked_bytes:
            fixed = self.settings.get("num_blocks")
            size = blocks * self.groups.block_bytes if fixed else self.memory.available[case]
            return needed * checked <= size
        return needed + int(self.settings.get("held_blocks", 0)) <= blocks

    @property
    def request_fits(self) -> bool:
        """Whether the cache is large enough for the longest request, by the best estimate."""
        return self.memory.available.best > 0 and self._holds_longest(1)

    @property
    def starts(self) -> bool:
        """Whether the engine starts, according to the best estimate."""
        return not self._reason(1)

    @property
    def verdict(self) -> str:
        """``starts``, ``probably starts``, ``probably will not start`` or ``will not start``."""
        if self.starts:
            return "probably starts" if self._reason(0) else "starts"
        return "will not start" if self._reason(2) else "probably will not start"

    @property
    def longest(self) -> int:
        """Longest request in tokens for which the KV cache is large enough, by the best estimate."""
        return self.longest_in(1)

    def longest_in(self, case: int) -> int:
        """Return the longest request in the low (0), best (1) or high (2) case of the estimates."""
        if self.buffers:  # a cache of full length grows in proportion to the context
            return int(self.max_model_len * min(self.concurrency[case], 1))
        if self.memory.available[case] <= 0:
            return 0
        return largest_fitting(lambda tokens: self._request_fits(tokens, case), self.max_model_len) or 0

    @property
    def reason(self) -> str:
        """Why the engine does not start, according to the best estimate, or an empty string."""
        return self._reason(1)

    def _reason(self, case: int) -> str:
        """Return why the engine does not start in the low (0), best (1) or high (2) case of the estimates, or empty."""
        if self.refusals:
            return self.refusals[0]
        available = self.memory.available[case]
        if available <= 0:
            missing = -available / GIB
            if self.profile.rule == STATIC:
                share = f"{self.profile.share_name} {self.settings['share']:.4g}"
                return f"weights exceed {self.memory.budget / GIB:.2f} GiB, the budget of {share}, by {missing:.2f} GiB"
            return f"weights and activations exceed the memory budget by {missing:.2f} GiB"
        if (most := self.most_states) and self.settings["max_num_seqs"] > most[case]:
            text = f"{self.settings['max_num_seqs']:,} sequences (max_num_seqs) each need a block of recurrent states"
            return f"{text}, and there are {int(most[case]):,}"
        if self._holds_longest(case):
            return ""
        states = self.groups.states.size(available)
        needed = float(self.request_blocks * (self.groups.checked_bytes or self.groups.block_bytes) + states) / GIB
        text = f"a request of {self.max_model_len:,} tokens needs {needed:.2f} GiB of KV cache"
        return f"{text}, and {available / GIB:.2f} GiB are left"

    @property
    def is_whole(self) -> bool:
        """Whether the engine starts for sure, and chooses no settings so that it does."""
        return self.verdict == "starts" and not self.automatic

    @cached_property
    def changes(self) -> tuple[tuple[dict[str, Any], Start], ...]:
        """Changed settings with which the engine starts for sure, fewest GPUs first. Empty if it does so already.

        If llama.cpp places the model by itself, they are those with which the GPUs store all of it.
        """
        if self.is_whole:
            return ()
        from .changes import start_changes  # needed only by engines that do not start

        return tuple(sorted(start_changes(self, self.retry), key=lambda change: change.result.ranks))

    def log(self) -> tuple[str, ...]:
        """Return the lines of the engine's log that state the result."""
        found = {
            "available": self.logged_memory.available.best / GIB, "tokens": int(self.tokens.best),
            "concurrency": self.concurrency.best, "max_model_len": self.max_model_len,
        }  # fmt: skip
        if not self.placed:
            return tuple(line.format(**found) for line in self.profile.log)
        lines = (self.profile.log[0].format(buffer=name, size=size) for name, size in self.placed.logged_sizes.items())
        return "offloaded {}/{} layers to GPU".format(*self.placed.offloaded), *lines

    @property
    def is_recurrent(self) -> bool:
        """Whether the model caches no tokens, so that a sequence of any length has states of the same size."""
        return all(group.kind == STATE for group in self.groups.groups)

    def line(self, change: Mapping[str, Any] | None = None) -> str:
        """Return the engine's command line, with changed settings if given."""
        return command_line(self, change or {})

    def offer(self, change: Mapping[str, Any]) -> str:
        """Return a changed command line, or options of ``serve`` if a command line does not state the whole model."""
        if states_all(self, change):
            return self.line(change)
        card, own = self.deployment.accelerator, dict(change)
        count, share = own.pop("gpus", None), own.pop("share", None)
        own |= {"gpu_memory_utilization": share} if share else {}
        own |= {"gpu": f"{card.name}:{count}"} if card and count else {}
        return spelled(" ".join(f"{{{name}={value}}}" for name, value in own.items()))

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        verdict = self.verdict.capitalize()
        if not self.starts:
            return f"{verdict}: {self.reason}"
        if self.buffers:
            size, rest = float(self.groups.block_bytes), self.memory.available.best
            left = f"{(rest - size) / GIB:.2f} GiB to spare"
            host = f"; {self.host.total.best / GIB:.2f} GiB in host memory" if self.host.parts else ""
            grows = self.buffers.full or self.buffers.window
            cache = f"KV cache of {self.max_model_len:,} tokens" if grows else "recurrent states"
            stored = f"{cache} in {size / GIB:.2f} GiB" if self.buffers.total else "no KV cache"
            return f"{verdict}{self.placement}: {stored}, {left}{host}"
        low, best, high = self.concurrency
        if self.is_recurrent:
            return f"{verdict}: recurrent states of {int(best):,} sequences"
        times = f"{best:.1f}x" if self.verdict == "starts" else f"{low:.1f}x to {high:.1f}x"
        request = f"{times} concurrency at {self.max_model_len:,} tokens"
        more = f" and {int(self.host_tokens.best):,} in host memory" if self.host_tokens else ""
        return f"{verdict}: KV cache of {int(self.tokens.best):,} tokens{more}, {request}"

    @property
    def placement(self) -> str:
        """Which layers and experts are in host memory, in words, or an empty string."""
        if self.placed is None:
            return ""
        (on_gpus, layers), settings = self.placed.offloaded, self.settings
        gpus = f"the GPU{'s' * (self.ranks > 1)}"
        moved = min(settings.get("cpu_experts") or 0, layers - 1)
        words = ["a shorter context"] if "max_model_len" in self.automatic else []
        words += [f"{on_gpus} of {layers} layers on {gpus}"] if on_gpus < layers else []
        words += [f"the experts of {moved} of {layers - 1} layers in host memory"] if moved else []
        words += ["all experts in host memory"] if settings.get("cpu_all_experts") else []
        return f" with {' and '.join(words)}" if words else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        memory = self.memory
        estimates = {
            "weights": memory.weights, "activation": memory.activation, "non_torch": memory.non_torch,
            "cuda_graphs": memory.graphs, "available": memory.available, "blocks": self.blocks, "tokens": self.tokens,
            "concurrency": self.concurrency,
        }  # fmt: skip
        return {
            "starts": self.starts, "verdict": self.verdict, "reason": self.reason,
            "engine": self.engine, "version": self.profile.version,
            "gpu_memory": memory.total, "budget": memory.budget,
            "extras": {name: size.to_dict() for name, size in memory.extras},
            **{name: estimate.to_dict() for name, estimate in estimates.items()},
            "requests": self.pool.requests(self.max_model_len), "gpus_used": self.ranks,
            "max_model_len": self.max_model_len, "longest": self.longest, "request_blocks": self.request_blocks,
            "block_bytes": round(self.groups.block_bytes),
            "groups": [
                {name: value for name, value in group._asdict().items() if name != "bytes"}
                for group in self.groups.groups
            ],
            "settings": dict(self.settings), "automatic": dict(self.automatic), "log": list(self.log()),
            "changes": [{"command": self.offer(change), "settings": change} for change, _ in self.changes],
            **{name: list(getattr(self.deployment.command, name, ())) for name in ("listed", "unmodelled")},
            **({"cache": self.buffers.total} if self.buffers else {}), "host": self.host.to_dict(),
            **({"host_tokens": self.host_tokens.to_dict()} if self.host_tokens else {}),
            "encoder": self.encoder, "images": [size.to_dict() for size in self.images], "evidence": self.evidence,
        }  # fmt: skip
