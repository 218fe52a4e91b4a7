"""What a serving engine does with the memory of its GPUs, and the time of its requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.errors import InputError
from ..core.setting import read_texts
from ..core.type_names import TYPE_CHECKING, Any, overload
from ..inputs.gpus import ALL_GPUS, gpu_list
from ..inputs.models import Source
from ..serving.reading import asks_for_times, engine_name, read_deployment, read_words
from ..serving.start.layout_error import start_or_divide
from ..serving.start.start import Start

if TYPE_CHECKING:
    from ..search.front import ServingFront
    from ..search.pools import ServingPools
    from ..search.serving_gpus import ServingGpus
    from ..search.serving_search import ServingSearch
    from ..serving.encoders import EncoderServing
    from ..serving.result import ServingResult


@overload
def serve(
    model: Source | None = None, gpu: str | int | None = None, *, isl: int | str, osl: int | str,
    sla: str, **settings: Any,
) -> ServingSearch: ...  # fmt: skip


@overload
def serve(
    model: Source | None = None, gpu: str | int | None = None, *, isl: int | str, osl: int | str,
    concurrency: float = 1, **settings: Any,
) -> ServingResult: ...  # fmt: skip


@overload
def serve(model: Source | None = None, gpu: str | int | None = None, **settings: Any) -> Start: ...


def serve(
    model: Source | None = None,
    gpu: str | int | None = None,
    *,
    command: str | Sequence[str] | None = None,
    engine: str | None = None,
    engine_version: str | None = None,
    gpu_memory: str | int | None = None,
    isl: int | str | None = None,
    osl: int | str | None = None,
    concurrency: float | None = None,
    sla: str | None = None,
    image: Iterable[str] = (),
    **settings: Any,
) -> Start | ServingResult | ServingSearch | ServingFront | ServingPools | ServingGpus | EncoderServing:
    """Predict how a serving engine divides the memory of its GPUs, and the size of its KV cache.

    With ``isl``, ``osl`` and ``concurrency``, or with ``mix`` or ``trace`` in place of lengths, estimate the time of
    requests instead, as ``ServingResult`` describes.

    >>> import llmcalc
    >>> result = llmcalc.serve("llama3.1-8b", "h100", engine_version="0.11", max_model_len=16000)
    >>> print(result.summary)
    Starts: KV cache of 420,432 tokens, 26.3x concurrency at 16,000 tokens

    Args:
        model: an architecture, anything ``load`` reads, or the path of a Modelfile of Ollama.
        gpu: accelerator with an optional count, such as ``"h100:4"``, or the memory of one GPU. If a part of
            the layout is given, all other GPUs are tensor-parallel ranks. A command line has its own defaults.
            With lengths of requests, also several, such as ``"h100:2,l40s:4"``, or ``"all"`` with a price, which are
            ordered by the price of tokens (``ServingGpus``).
        command: command line of the engine, as text or words, in place of ``model``, ``engine`` and settings.
        engine: serving engine (default: ``vllm``, or ``llama.cpp`` for its weight formats, and on Apple silicon and
            Radeon).
        engine_version: version of the engine (default: the newest one that is described).
        gpu_memory: memory of one GPU, such as ``"79.18GiB"`` (overrides the specification).
        isl: input tokens of a request.
        osl: output tokens of a request.
        concurrency: number of requests at any time (default: 1).
        sla: longest times of requests, such as ``"ttft<300ms,tpot<10ms"``, for which the fastest layouts are searched.
        image: sizes of images in pixels, such as ``["1024x768"]``, whose tokens are stated. With lengths, each request
            contains them in addition to ``isl``.
        settings: settings of the engine, such as ``tp``, ``max_model_len``, ``max_num_seqs``, ``cache`` or ``weights``.
            ``images_per_prompt=0`` loads no image encoder.
            For times also ``ep``, ``experts``, ``attention_weights`` and ``two_batch_overlap``, ``mix``, ``trace``,
            ``turns`` and ``prefix_share``, ``acceptance_length`` or ``acceptance_rate`` of speculative decoding, and
            ``calibration``, the result of ``calibrate`` or its file. ``pareto=True`` asks for the result of
            ``serving_front``, and ``prefill_pool="2xtp2"`` for two pools of GPUs. ``watts`` and ``api_price`` are for
            energy and a comparison with an API. An encoder, such as BERT, needs no ``osl``, and the result is its
            throughput.

    Raises:
        InputError: an unknown engine, flag or GPU, or an invalid setting.
        LayoutError: the engine does not start, as its number of ranks does not divide the model.
    """
    engine = engine_name(engine)
    load = {"isl": isl, "osl": osl, "concurrency": concurrency, "sla": sla}
    own, several = {**settings, **load}, gpu_list(gpu)
    read_words(command)  # an empty one is an error
    if asks_for_times(own):
        from ..search.serving_answer import answer  # needed only by times

        images = {"image": tuple(read_texts(image, "image"))} if image else {}
        own |= {"engine": engine, "engine_version": engine_version, **images}
        return answer(model, gpu, own, command, gpu_memory)
    if several:
        memory = "; for the memory alone, llmcalc fit MODEL {gpu=all}" if several == [ALL_GPUS] else ""
        hint = f"add the lengths of requests, such as {{isl=1000}} {{osl=500}} {{concurrency=16}}{memory}"
        raise InputError("GPUs are compared by the price of the tokens of requests", parameter="gpu", hint=hint)
    deployed = read_deployment(
        model, gpu, command=command, engine=engine, engine_version=engine_version, gpu_memory=gpu_memory, image=image,
        settings=settings,
    )  # fmt: skip
    return start_or_divide(deployed)
