"""Settings that define which values public functions and the corresponding command-line options accept.

>>> BATCH.check(8), BATCH.kind, BATCH.least
(None, <class 'int'>, 1)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .errors import InputError, SizeError, UnknownNameError, short_repr
from .record import changed, record
from .type_names import Any, overload

MOST_PAIRS, LONGEST_HINT = 8, 120  # of a list in a hint
AMOUNT, SIZE, TEXTS = "a number or a string such as 15T", "an integer or a string such as 24GiB", "a list of strings"
LIMIT = "an integer or 'all'"
NUMBERS: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("an integer", (int,)),
    float: ("a number", (int, float)),
    AMOUNT: (AMOUNT, (int, float, str)),  # texts are parsed where their unit is known
    SIZE: (SIZE, (int, str)),
    LIMIT: (LIMIT, (int, str)),
}
LARGEST = 1e40  # upper limit of every number
LENGTHS = (  # parameters that count tokens of a sequence
    "seq", "target_seq", "context", "source", "prefill", "page", "new_tokens", "prompt", "completion",
)  # fmt: skip
SCALES = {"k": 2**10, "m": 2**20, "g": 2**30}  # of lengths
MOST_DIGITS = 18


@record
class Setting:
    """A parameter and its accepted values. None is accepted only if it is the default.

    Attributes:
        name: parameter name.
        kind: type of the value (such as ``int``, ``float``, ``bool`` or ``str``), ``AMOUNT``, ``SIZE``,
            ``LIMIT`` or ``TEXTS``.
        default: default value.
        least: minimum value of a number, or minimum length of a string (default: 1 for a string).
        above: lower bound of a number, excluding the bound itself.
        choices: accepted values (empty: any).
        usual: value with the same effect as None, if the default is None.
        like: name of the setting whose value has the same effect as None, if the default is None.
        needs: names of the conditions in ``inputs/effects.py`` without which the setting has no effect.
        help: what the setting means, in a phrase for the command line, with other options in braces, as in ``{seq}``.
        metavar: placeholder of a value in the help (default: ``N`` for an integer).
        option: name of the command-line option if it is not that of the setting.
        complete: source of completions in ``cli/completion.py``.
        part: part of a question that the setting belongs to, for functions that group theirs.
        typed: type or choices of the value on a command line, if it accepts less than the function does.
        example: a number, for a function's numbers that a command line reads as amounts such as 1M or 2.5.
    """

    name: str
    kind: Any = str
    default: Any = None
    least: float | None = None
    above: float | None = None
    choices: tuple[Any, ...] = ()
    usual: Any = None
    like: str = ""
    needs: tuple[str, ...] = ()
    help: str = ""
    metavar: str = ""
    option: str = ""
    complete: str = ""
    part: str = ""
    typed: Any = None
    example: str = ""

    def is_default(self, value: object) -> bool:
        """Return whether a value has the same effect as the default."""
        return value is None or value in (self.default, self.usual, (), [])

    def check(self, value: object) -> None:
        """Raise an ``InputError`` if the value is not accepted."""
        if value is None and self.default is None:
            return
        if self.kind == TEXTS:
            read_texts(value, self.name)
        elif self.choices and self.kind is str and isinstance(value, str):
            known_choice(self.name, value, self.choices)
        elif self.kind in NUMBERS:
            self._check_number(value)
        elif not isinstance(value, self.kind) or (isinstance(value, str) and len(value) < self._least(1)):
            raise InputError(f"must be {_title(self.kind)}, not {short_repr(value)}", parameter=self.name)

    def _check_number(self, value: Any) -> None:
        wanted, types = NUMBERS[self.kind]
        if self.choices:
            wanted = f"one of {', '.join(map(str, self.choices))}"
        elif self.least is not None:
            wanted += f" of at least {self.least:g}"
        elif self.above is not None:
            wanted += f" above {self.above:g}"
        valid = isinstance(value, types) and not isinstance(value, bool)
        if valid and not isinstance(value, str):
            valid = self._least(-LARGEST) <= value <= LARGEST and value != self.above
            valid = valid and value in (self.choices or (value,))
        if not valid and not getattr(value, "is_symbolic", False):  # symbols are checked where they are defined
            raise SizeError(f"must be {wanted}, not {short_repr(value)}", parameter=self.name)

    def _least(self, default: float) -> float:
        found = self.above if self.least is None else self.least
        return default if found is None else found


def _title(kind: Any) -> str:
    names = {bool: "True or False", str: "a non-empty string"}
    return names.get(kind) or " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))


def known_choice(what: str, value: str, choices: tuple[str, ...], parameter: str = "") -> str:
    """Return ``value`` if it is a valid choice, or raise an error."""
    if value not in choices:
        hint = f"use one of {', '.join(choices)}"
        raise UnknownNameError(what, value, choices, parameter=parameter or what, hint=hint)
    return value


def read_texts(values: object, parameter: str) -> tuple[str, ...]:
    """Convert an iterable of strings to a tuple. A single string is rejected instead of being split into
    characters.
    """
    found = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (None,)
    if isinstance(values, Mapping) or not all(isinstance(value, str) for value in found):
        pairs = [f"{name}={value}" for name, value in values.items()] if isinstance(values, Mapping) else [values]
        is_short = len(pairs) <= MOST_PAIRS and all(isinstance(pair, str) for pair in pairs)
        hint = f"use {short_repr(pairs, LONGEST_HINT)}" if is_short and pairs else ""
        raise InputError(f"must be {TEXTS}, not {short_repr(values)}", parameter=parameter, hint=hint)
    return found


def read_integer(text: str, scales: Mapping[str, int] | None = None) -> int | None:
    """Parse digits, which may be grouped (``32_768``), and a suffix in ``scales``. Return None for any other text.

    >>> read_integer("32_768"), read_integer("32,768"), read_integer("1_2"), read_integer("32k")
    (32768, 32768, None, None)
    >>> read_integer("32k", SCALES), read_integer("1.5M", SCALES), read_integer("0.3k", SCALES)
    (32768, 1572864, None)
    """
    if not text.isascii() or len(text) > 2 * MOST_DIGITS:
        return None
    scale = (scales or {}).get(text[-1:].lower(), 1)
    digits, point, part = (text[:-1].rstrip() if scale > 1 else text).partition(".")
    for separator in "_,":
        if separator in digits:
            first, *groups = digits.split(separator)
            if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups):
                return None
            digits = first + "".join(groups)
    if not digits.isdigit() or len(digits + part) > MOST_DIGITS or (point and (scale == 1 or not part.isdigit())):
        return None
    number, rest = divmod(int(digits + part) * scale, 10 ** len(part))
    return None if rest else number


def scale_number(digits: str, scale: int, parameter: str) -> int:
    """Return the integer closest to a number of units, such as ``1.5`` GiB.

    >>> scale_number("1.5", 2**30, "reserve")
    1610612736
    """
    number = float(digits) * scale
    if number > LARGEST:
        raise SizeError("number is out of range", parameter=parameter, hint=f"use a number below {LARGEST:g}")
    return round(number)


@overload
def read_length(value: int | str, parameter: str) -> int: ...
@overload
def read_length(value: int | str | None, parameter: str) -> int | None: ...
def read_length(value: int | str | None, parameter: str) -> int | None:
    """Convert a length in tokens such as ``"32k"`` (1k is 1024) to an integer. Other values are returned unchanged.

    >>> read_length("32k", "seq"), read_length(8192, "seq"), read_length(None, "seq")
    (32768, 8192, None)
    """
    if not isinstance(value, str):
        return value
    found = read_integer(value.strip(), SCALES)
    if found is None:
        raise SizeError(
            f"invalid length {short_repr(value)}", parameter=parameter, hint="use a number such as 8192 or 32k"
        )
    return found


def read_lengths(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert all lengths in ``values``."""
    return {name: read_length(value, name) if name in LENGTHS else value for name, value in values.items()}


def check_values(settings: Iterable[Setting], values: Mapping[str, Any]) -> None:
    """Check the values of all settings that are present in ``values``."""
    for setting in settings:
        if setting.name in values:
            setting.check(values[setting.name])


def check_fields(of: Any, settings: Iterable[Setting]) -> None:
    """Check the fields of a record. None is accepted only if it is the field's default."""
    for setting in settings:
        value = getattr(of, setting.name)
        if value is not of.__template__[setting.name]:
            (changed(setting, default=0) if value is None else setting).check(value)


BATCH = Setting(
    "batch", int, 1, least=1,
    help="Batch size (number of sequences; in serving, over all GPUs; in training memory, per micro-batch and rank).",
)  # fmt: skip
SEQ = Setting(
    "seq", int, least=1,
    help="Sequence length in tokens, such as 8192 or 32k (default: 2048, or the model's maximum if smaller).",
)  # fmt: skip
TARGET_SEQ = Setting(
    "target_seq", int, least=1, needs=("encoder_decoder", "prefill"),
    help="Decoder sequence length of an encoder-decoder model, in tokens (default: {seq}).",
)  # fmt: skip
EXTEND = Setting("extend", bool, False, help="Allow sequences longer than the number of learned positions.")
MODE = Setting(
    "mode", str, "forward", choices=("forward", "train", "decode"),
    help="Step to evaluate: forward, train (forward and backward), or decode (after {context} cached tokens).",
)  # fmt: skip
CONTEXT = Setting(
    "context", int, least=0, usual=0, needs=("decode",), help="Number of cached tokens before a decode step."
)  # fmt: skip
SOURCE = Setting("source", int, least=0, like="context", needs=("source",))
PAIRS = Setting("attention", str, "causal", choices=("causal", "dense"))  # field of a workload
COUNT = changed(  # parameter of functions and commands, where attention selects the kernel
    PAIRS, name="count", help="FLOPs: count visible query-key pairs (causal) or all pairs (dense)."
)  # fmt: skip
LOGITS = Setting(
    "logits", str, "all", choices=("all", "last"), needs=("logits",),
    help="Compute logits at all positions or only at the last one.",
)  # fmt: skip
KERNELS = FUSED, UNFUSED = ("fused", "unfused")  # in which tensors pass through memory
CONVENTION = Setting(
    "convention", choices=("torch",), help="Use the memory behaviour of transformers' eager PyTorch code."
)
PATCHES = Setting("patches", int, 0, least=0, help="Number of image patches per sequence (vision-language models).")
FRAMES = Setting("frames", int, 0, least=0, help="Number of audio frames per sequence (100 per second; speech models).")
EXTRAS = Setting(
    "extras", TEXTS, (), option="with", metavar="EXTRA",
    help="Also count an extra of the model, such as mtp (multi-token prediction). Repeatable.",
)  # fmt: skip
SIZES = (BATCH, SEQ, TARGET_SEQ, EXTEND)
WORKLOAD = (*SIZES, MODE, CONTEXT, SOURCE, PAIRS, LOGITS, CONVENTION, PATCHES, FRAMES)
