"""Common elements of model reports, such as the title, structure, warnings, workload line and symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..core.architecture import Architecture, model_of
from ..core.description.structure import structure_line
from ..core.record import fields
from ..core.type_names import TYPE_CHECKING, Any
from .document import Document
from .numbers import about

if TYPE_CHECKING:
    from ..core.form import Form
    from ..core.tree import Node
    from ..core.workload import Workload

LETTERS = {
    "b": "batch", "q": "new tokens", "k": "keys: cached and new tokens", "c": "cached tokens",
    "n": "tokens of the encoder", "s": "encoder tokens that are attended to", "p": "patches", "a": "audio frames",
}  # fmt: skip
SHOWN_FIELDS = ("batch", "seq", "mode", "attention", "logits")
ONE_LINE, TWO_LINES = 76, 130  # characters in 80 columns, without indents
RUN_FIELDS = ("seq", "attention")
SIZES = ("batch", "seq")


def model_document(
    architecture: Architecture,
    command: str,
    data: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
    subject: str = "",
    *,
    is_full: bool = False,
    answer: str = "",
    excess: str = "",
    workload: Workload | None = None,
    lines: Iterable[str] = (),
    alerts: Iterable[str] = (),
    notes: Iterable[str] = (),
    details: Iterable[str] = (),
    **parts: Any,
) -> Document:
    """Build a report about a model. An ``answer`` is the first line, before the name of the model.

    The first line says if the sequences of a ``workload`` are longer than the model accepts, after which its formulas
    still hold. After an answer, the first warning has the lengths: the ``excess`` of requests that an engine accepts.

    ``is_full`` describes every size of the model and shows every note, for reports on how the model is built.
    """
    whole, _ = model_of(architecture)
    beyond = excess_of(whole, workload)
    first = excess or beyond
    if answer and first:
        answer += ", beyond the model's length"

    def json_object() -> dict[str, Any]:
        from .json_envelope import envelope

        inputs, result = data()
        return envelope(command, {**model_inputs(whole, first), **inputs}, result)

    return Document(
        answer or f"{title(whole)}{subject}{beyond and f', {beyond}'}",
        json_object,
        subtitle=(
            f"{title(whole)}{subject}" if answer else "",
            *training_file_lines(whole),
            *structure(architecture, is_full=is_full),
            *lines,
        ),
        warnings=(first if answer else "", *warnings(whole), *alerts),
        notes=(*notes, *shown_notes(whole, is_full=is_full)),
        details=(*details, *(() if is_full else whole.remarks)),
        **parts,
    )


def derivation(name: str, result: Any) -> Callable[[], tuple[Node, ...]]:
    """Return a function that derives the result of a quantity, for the ``tree`` format."""

    def derive() -> tuple[Node, ...]:
        from ..analysis.quantity import quantity

        return (quantity(name).tree(result),)

    return derive


def excess_of(architecture: Architecture, workload: Workload | None) -> str:
    """Return beyond which length of a model the sequences of a workload are, unless it is extended, or empty text."""
    if workload is None or workload.extend:
        return ""
    from ..engines.lengths import length_limit  # needed only by workloads

    limit = length_limit(architecture)
    return f"beyond the {limit.tokens:,} tokens that the model accepts" if limit.excess(workload.longest) else ""


def model_inputs(architecture: Architecture, alert: str = "") -> dict[str, Any]:
    """Return the JSON fields that identify a model (name, file, overrides and hash), and warnings, an alert first."""
    from ..core.description.fingerprint import fingerprint

    given = architecture.inputs
    return {
        "model": architecture.name, "title": architecture.title, "status": architecture.status,
        "source": architecture.source, "file": given.get("file", ""), "overrides": list(given.get("overrides", ())),
        "hash": fingerprint(architecture), "warnings": [*filter(None, [alert]), *warnings(architecture)],
        **{key: given[key] for key in ("extras", "training_file") if given.get(key)},
    }  # fmt: skip


def training_file_lines(architecture: Architecture) -> tuple[str, ...]:
    """Return what was read from the file of a training program, if any."""
    file: Mapping[str, Any] | None = architecture.inputs.get("training_file")
    if file is None:
        return ()
    model = {"model": file["model"]} if file["model"] else {}
    settings: Mapping[str, Any] = file["settings"]
    texts = {name: " ".join(map(str, own)) if isinstance(own, list) else own for name, own in settings.items()}
    defaults = named_values({key: str(value).lower() for key, value in file["defaults"].items()}, "_")
    return (
        f"{file['program']}: {named_values({'file': file['path'], **model})}",
        f"settings: {named_values(texts)}",
        *([f"defaults: {defaults}"] if defaults else []),
    )


def title(architecture: Architecture) -> str:
    """Return a title such as ``GPT-3 (gpt3-175b)``, followed by any overrides and counted extras."""
    known = architecture.title and architecture.title != architecture.name
    named = f"{architecture.title} ({architecture.name})" if known else architecture.name
    changes = [*architecture.inputs.get("overrides", ()), *architecture.inputs.get("extras", ())]
    return f"{named} with {', '.join(changes)}" if changes else named


def gpus_text(found: Any) -> str:
    """Return the number and the title of the GPUs of a result, such as ``8 × NVIDIA H100 SXM5 80GB``."""
    return f"{found.count} × {found.accelerator.title if found.accelerator else 'accelerator'}"


def numbered(names: Sequence[str]) -> list[str]:
    """Return names with their place if the same name occurs more than once.

    >>> numbered(["gpt3", "palm"]), numbered(["gpt3", "gpt3"])
    (['gpt3', 'palm'], ['gpt3 #1', 'gpt3 #2'])
    """
    return [f"{name} #{place}" if names.count(name) > 1 else name for place, name in enumerate(names, 1)]


def structure(architecture: Architecture, *, is_full: bool = False) -> tuple[str, ...]:
    """Return a line for each stack. Unless ``is_full``, it has only the main sizes if all would take more than two
    lines in 80 columns, or more than one line per stack.
    """
    longest = None if is_full else TWO_LINES if len(architecture.stacks) == 1 else ONE_LINE
    return tuple(structure_line(stack, longest) for stack in architecture.stacks)


def shown_notes(architecture: Architecture, *, is_full: bool = False) -> tuple[str, ...]:
    """Return the notes without remarks, unless ``is_full``."""
    return tuple(note for note in architecture.notes if is_full or note not in architecture.remarks)


def warnings(architecture: Architecture) -> tuple[str, ...]:
    """Return the warnings of an architecture, including a warning about an unpublished model."""
    if architecture.status == "published":
        return architecture.warnings
    unpublished = f"{architecture.name} is {architecture.status}: its sizes are unpublished and may be wrong"
    return (unpublished, *architecture.warnings)


def ignored_keys_note(keys: tuple[str, ...]) -> str:
    """Return a note about ignored ``quantization_config`` keys."""
    return f"ignored unknown keys of quantization_config: {', '.join(keys)}"


def workload_line(workload: Workload, also: Sequence[str] = SHOWN_FIELDS) -> str:
    """Return a line such as ``workload: batch 1 · seq 2048 · mode forward · attention causal · logits all``."""
    return f"workload: {settings_text(workload, also)}"


def run_line(workload: Workload, tokens: int | None = None) -> str:
    """Return a line such as ``workload: tokens 15.00 T · sequences 7.324 B · seq 2048 · attention causal``."""
    sizes = {"tokens": about(tokens, "")} if tokens else {}
    sizes["sequences"] = about(workload.batch, "")
    own = {name: value for name, value in non_defaults(workload, RUN_FIELDS).items() if name not in ("batch", "mode")}
    return f"workload: {named_values({**sizes, **own})}"


def settings_text(settings: Any, also: Sequence[str] = ()) -> str:
    """Format fields with non-default values and fields named in ``also``, for example as ``batch 1 · extend``."""
    return named_values(non_defaults(settings, also))


def non_defaults(settings: Any, also: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields with non-default values and the fields named in ``also``."""
    values = {field.name: (getattr(settings, field.name), field.default) for field in fields(settings)}
    return {name: value for name, (value, default) in values.items() if name in also or value != default}


def named_values(values: Mapping[str, Any], space: str = " ") -> str:
    """Join names and values in one line. If a value is True, only the name is included."""
    texts = {name.replace("_", space): value for name, value in values.items()}
    return " · ".join(name if value is True else f"{name} {value}" for name, value in texts.items())


def workload_inputs(workload: Workload) -> dict[str, Any]:
    """Return the workload as plain data, with the key ``source`` renamed to ``source_tokens``."""
    sizes = {field.name: getattr(workload, field.name) for field in fields(workload)}
    return {"source_tokens" if name == "source" else name: value for name, value in sizes.items()}


def formula_note(what: str, form: Form) -> str:
    """Return a note with a closed form and the meanings of its symbols."""
    from ..core.description.notation import Notation, signs_in  # parameters have no form

    text = Notation().text(form)
    named = [f"{letter}: {meaning}" for letter, meaning in LETTERS.items() if letter in form.symbols()]
    named += [f"{sign}: {meaning}" for sign, meaning in signs_in(text)]
    return f"{what} = {text} ({', '.join(named)})" if named else f"{what} = {text}"
