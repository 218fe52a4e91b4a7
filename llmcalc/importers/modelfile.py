"""Modelfiles of Ollama, read as the command line of llama-server that has the same effect on the memory."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from ..core.errors import DescriptionError, InputError, UnknownNameError, short_repr
from ..core.record import NamedTuple
from ..core.setting import read_integer
from ..core.type_names import Any
from ..data import table
from ..schema.preset_files import read_text

MOST_BYTES, MOST_INSTRUCTIONS, LONGEST = 1_000_000, 2000, 500
USUAL = "q4_K_M"  # format of models in the library of Ollama without a format in the tag
TRAINED, TRAINED_FORMAT = "-qat", "q4_0"  # of Gemma 3, which is trained for it
PROGRAM = ("llama-server", "-m")
RUN, MODELFILE, SERVER = "ollama run", "Modelfile", "ollama serve"
TITLE = "Ollama"
_FROM = r"(?im)^[ \t]*FROM[ \t]+\S"
_INSTRUCTION = r"[ \t]*([A-Za-z]+)[ \t]+(.*)"
_FORMAT = r"(?i)(.*?)-?((?:i?q\d\w*)|bf16|f16|fp16|f32|fp32|mxfp4)"
_QUOTE = '"""'


class Modelfile(NamedTuple):
    """A Modelfile.

    Attributes:
        model: model as the file names it; ``file`` is the name of its GGUF file.
        parameters: values of parameters.
        defaults: values that Ollama uses for missing parameters.
        others: flags of llama-server for adapters and draft models.
        states_format: whether the name of the model or its file states the format of the weights. If not, ``file`` has
            the usual format of the library of Ollama.
    """

    model: str
    file: str
    parameters: dict[str, str]
    defaults: dict[str, int]
    others: tuple[str, ...]
    states_format: bool = True

    def with_format(self, published: str | None) -> Modelfile:
        """Return the model in the format in which it is published, unless its name states another one."""
        if self.states_format or published is None:
            return self
        return self._replace(file=self.file.replace(USUAL, published), states_format=True)

    def words(self, context: int, longest: int | None = None, requests: int = 1) -> list[str]:
        """Return the words of the command line.

        ``context`` is the context size of Ollama without ``num_ctx``. Each request has this context, which is at most
        ``longest``, the length of the model.
        """
        flags, found = table("modelfile")["parameters"], [*PROGRAM, self.file]
        values = {"num_ctx": context, **self.defaults, **self.parameters}
        if size := read_integer(str(values["num_ctx"])):
            values["num_ctx"] = requests * min(size, longest or size)
        for key, value in values.items():
            if key in flags and not (key == "num_gpu" and str(value).startswith("-")):  # as many layers as fit
                found += [flags[key], str(value)]
        return [*found, *self.others]


def is_modelfile(path: object) -> bool:
    """Return whether a path is that of a text file with the instruction FROM, as in ``FROM llama3.2``."""
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path) or not os.path.isfile(path):
        return False
    name = os.path.basename(os.fspath(path)).lower()
    if "." in name and not name.startswith("modelfile") and not name.endswith((".modelfile", ".txt")):
        return False
    with open(path, "rb") as stream:
        return bool(re.search(_FROM, stream.read(MOST_BYTES).decode("utf-8", "replace")))


def read_modelfile(path: str | os.PathLike[str]) -> Modelfile:
    """Read a Modelfile. Instructions and parameters that Ollama does not have are errors."""
    known, where = table("modelfile"), os.fspath(path)
    model, parameters = "", dict[str, str]()
    others: list[str] = []
    for number, name, value in _instructions(read_text(path, MOST_BYTES), where):
        place = f"{where}:{number}"
        if name == "from":
            model = model or value
        elif name == "parameter":
            key, _, text = value.partition(" ")
            names = (*known["parameters"], *known["ignored"].split())
            if key not in names:
                raise UnknownNameError("Modelfile parameter", key, names, where=place)
            parameters[key] = text.strip().strip('"')
        elif name not in known["instructions"]:
            names = ("from", "parameter", *known["instructions"])
            raise UnknownNameError("Modelfile instruction", name, names, where=place)
        elif flag := known["instructions"][name]:
            others += [flag, value]
    if len(model) > LONGEST:
        raise DescriptionError(f"the name of the model is longer than {LONGEST} characters", where=where)
    if not model:
        raise DescriptionError("names no model", where=where, hint="add an instruction such as FROM llama3.2:3b")
    defaults = {key: value for key, value in known["defaults"].items() if key not in parameters}
    file, states_format = _file(model, where, known["latest"])
    return Modelfile(model, file, parameters, defaults, tuple(others), states_format)


def library_model(model: str) -> Modelfile:
    """Return a model of the library of Ollama or of the Hub, as ``ollama run`` starts it.

    >>> library_model("qwen3:8b").words(4096)[:3]
    ['llama-server', '-m', 'qwen3-8b-q4_K_M.gguf']
    """
    known = table("modelfile")
    file, states_format = _library_file(model, known["latest"])
    return Modelfile(model, file, {}, known["defaults"], (), states_format)


def own_settings(
    change: Mapping[str, Any], requests: int = 1, given: Mapping[str, str] = MappingProxyType({}), *, is_file: bool
) -> str:
    """Return how a user of Ollama changes settings: parameters of the Modelfile and variables, beside those given.

    >>> own_settings({"max_model_len": 8192, "cache": "q8_0"}, 2, is_file=False)
    'OLLAMA_CONTEXT_LENGTH=4096 OLLAMA_KV_CACHE_TYPE=q8_0 ollama serve'
    >>> own_settings({"max_model_len": 8192}, is_file=True)
    'PARAMETER num_ctx 8192'
    """
    names: dict[str, str] = table("modelfile")["variables"]
    values = {name: value for name, value in change.items() if name in names}
    if size := values.get("max_model_len"):
        values["max_model_len"] = size // requests  # each request has this context
    lines = [f"PARAMETER num_ctx {values.pop('max_model_len')}"] if is_file and "max_model_len" in values else []
    variables = {**given, **{names[name]: value for name, value in values.items()}}
    words = [f"{name}={value}" for name, value in variables.items()] if values else []
    return " and ".join([*lines, *([" ".join([*words, SERVER])] if words else [])])


def changed_variables(words: Iterable[str], change: Mapping[str, Any]) -> str:
    """Return the words of ``ollama run`` with changed settings as variables, if there are such.

    >>> changed_variables(["OLLAMA_NUM_PARALLEL=2", "ollama", "run", "qwen3:8b"], {"cache": "q8_0"})
    'OLLAMA_KV_CACHE_TYPE=q8_0 OLLAMA_NUM_PARALLEL=2 ollama run qwen3:8b'
    """
    names: dict[str, str] = table("modelfile")["variables"]
    new = {names[name]: value for name, value in change.items() if name in names}
    return shlex.join([f"{name}={value}" for name, value in new.items()]
                      + [word for word in words if word.partition("=")[0] not in new])  # fmt: skip


def usual_context(memory_bytes: int, longest: int | None) -> int:
    """Return the context size that Ollama uses on GPUs with this memory, at most that of the model.

    >>> usual_context(24 * 2**30, 131072), usual_context(80 * 2**30, 131072), usual_context(8 * 2**30, None)
    (32768, 131072, 4096)
    """
    known: dict[str, int] = table("modelfile")["contexts"]
    size = max(tokens for least, tokens in known.items() if memory_bytes >= int(least) * 2**30)
    return min(size, longest or size)


def _instructions(text: str, where: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the lower-case name and the value of each instruction. A value in triple quotes spans lines."""
    lines = iter(enumerate(text.splitlines(), 1))
    for count, (number, line) in enumerate(lines):
        if count > MOST_INSTRUCTIONS:
            raise DescriptionError(f"more than {MOST_INSTRUCTIONS:,} lines", where=where)
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(_INSTRUCTION, line)
        if match is None:
            raise DescriptionError(f"invalid instruction {short_repr(line.strip())}", where=f"{where}:{number}")
        value = match[2].strip()
        if value.startswith(_QUOTE) and not (len(value) > len(_QUOTE) and value.endswith(_QUOTE)):
            value = "\n".join([value, *_rest(lines, f"{where}:{number}")])
        yield number, match[1].lower(), value.strip().removeprefix(_QUOTE).removesuffix(_QUOTE).strip('"')


def _rest(lines: Iterator[tuple[int, str]], where: str) -> Iterator[str]:
    for _, line in lines:
        yield line
        if line.rstrip().endswith(_QUOTE):
            return
    raise DescriptionError("the triple quotes are not closed", where=where)


def _file(model: str, where: str, latest: dict[str, str]) -> tuple[str, bool]:
    """Return the model as the name of a GGUF file: a local file, a repository of the Hub, or a model with a tag. Also
    return whether the name states the format.
    """
    local = os.path.join(os.path.dirname(where), os.path.expanduser(model))
    if os.path.isdir(local):
        hint = f"use the folder {local} as the model, with {{engine=llama.cpp}} and a format such as {{weights=q8_0}}"
        raise InputError(f"FROM {model} is a folder, which Ollama converts", where=where, hint=hint)
    if os.path.exists(local) or model.startswith(("/", "./", "../", "~")):
        return local, True
    return _library_file(model, latest)


def _library_file(model: str, latest: dict[str, str]) -> tuple[str, bool]:
    name = re.sub(r"^(https?://)?(hf\.co|huggingface\.co)/", "", model)
    if name != model:
        return name, True
    name, _, tag = re.sub(r"^(registry\.)?ollama\.(com|ai)/", "", model).removeprefix("library/").partition(":")
    tag = "" if tag == "latest" else tag
    found = re.fullmatch(_FORMAT, tag)
    size, weights = (found[1], found[2].replace("fp", "f")) if found else (tag, USUAL)
    is_stated = bool(found)
    if tag.endswith(TRAINED):
        size, weights, is_stated = tag.removesuffix(TRAINED), TRAINED_FORMAT, True
    size = size or latest.get(name, "")
    if preset := table("modelfile")["tags"].get(f"{name}:{size}"):
        return f"{preset}-{weights}.gguf", is_stated
    return f"{'-'.join(filter(None, (name, size)))}-{weights}.gguf", is_stated
