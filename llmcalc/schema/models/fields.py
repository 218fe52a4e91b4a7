"""pydantic fields and models that several kinds of data files share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .validation import Model

Text = Annotated[str, Field(min_length=1)]
Size = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
RatesByFormat = dict[str, Rate]
Range = tuple[float | None, float | None]
# whether figures were checked in their source: partly, in transcriptions, or derived from the equations
Checked = bool | Literal["partly", "copies", "logic"]


class Sourced(Model):
    """A table entry that cites the source of its figures."""

    source: Text
    checked: Checked = True
    note: Text | None = None
