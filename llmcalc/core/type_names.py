"""Names of ``typing`` for annotations, which only type checkers read.

Importing ``typing`` would take a tenth of the calls of a short command.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import BinaryIO as BinaryIO
    from typing import ClassVar as ClassVar
    from typing import NoReturn as NoReturn
    from typing import Protocol as Protocol
    from typing import TypeGuard as TypeGuard
    from typing import TypeVar as TypeVar
    from typing import dataclass_transform as dataclass_transform
    from typing import overload as overload
else:
    Any = BinaryIO = ClassVar = NoReturn = Protocol = TypeGuard = object

    class TypeVar:
        """A type variable, which has no meaning at run time."""

        def __init__(self, name, *_, **__):
            self.name = name

    def overload(signature):
        """Return a signature unchanged."""
        return signature

    def dataclass_transform(**_):
        """Return a decorator that changes nothing."""
        return lambda decorator: decorator
