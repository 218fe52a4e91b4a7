"""Memory of a step of reinforcement learning, phase by phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.record import changed
from ..inputs.models import Source, read_model
from ..training.rl import COMPLETION, COMPLETIONS, PROMPT, RlMemory, read_rl, rl_memory

if TYPE_CHECKING:
    from ..fitting.advice import Change


def rl(
    model: Source,
    gpu: str,
    *,
    algorithm: str = "grpo",
    rollout: str = "colocate",
    completions: int = COMPLETIONS,
    prompt: int | str = PROMPT,
    completion: int | str = COMPLETION,
    micro_batch: int | None = None,
    share: float | str | None = None,
    sleep: int = 0,
    reference: bool | None = None,
    offload: bool = False,
    engine_tp: int = 1,
    **settings: Any,
) -> RlMemory:
    """Compute the memory of each phase of a step of GRPO or PPO, and which phase is the peak.

    >>> import llmcalc
    >>> result = llmcalc.rl("qwen2.5-1.5b", "h100", completion=1024, sleep=2)
    >>> result.largest.name
    'training'

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:8"``, or the memory of one GPU. Several GPUs without
            ``dp`` or ``tp`` use ZeRO-3.
        algorithm: ``grpo``, or ``ppo`` with a critic and a reward model of the same size.
        rollout: ``colocate``, where trainer and engine share each GPU, or ``separate``.
        completions: number of completions per prompt (the size of a group).
        prompt: tokens of a prompt.
        completion: tokens of a completion.
        micro_batch: number of completions in a backward pass on one GPU (default: a group).
        share: share of a GPU's memory that the engine takes (``vllm_gpu_memory_utilization``; default: 0.3, or that of
            the engine on GPUs of its own).
        sleep: sleep level of the engine during training: 0 (awake), 1 (weights in host memory, no KV cache) or 2 (both
            discarded).
        reference: whether a reference model is kept (default: only for ``ppo``). With LoRA, it is the model without its
            adapters.
        offload: whether the trainer's weights and optimizer states are in host memory during the rollout.
        engine_tp: number of tensor-parallel ranks of the engine.
        settings: settings of a training step of ``memory``, such as ``lora_rank``, ``recompute``, ``zero`` or ``dp``.

    Raises:
        InputError: an unknown setting, or one without an effect.
    """
    asked = {name: value for name, value in locals().items() if name not in ("model", "settings")}
    own, architecture = read_rl(asked), read_model(model)

    def find_changes(result: RlMemory) -> tuple[Change, ...]:
        from ..training.rl_changes import rl_changes  # needed only by steps that do not fit

        given = {**asked, **settings}
        return rl_changes(result, given, lambda change: rl(architecture, **{**given, **change}))

    return changed(rl_memory(architecture, gpu, own, settings), find_changes=find_changes)
