"""JSON without repeated keys."""

import pytest

from llmcalc.core.errors import DescriptionError
from llmcalc.core.strict_json import first_repeated, read_json


def test_the_first_repeated_name_is_reported() -> None:
    assert first_repeated(["a", "b", "c", "c", "b"]) == "b"
    with pytest.raises(DescriptionError, match="'b'"):
        read_json('{"a": 1, "b": 2, "b": 3}', "file")
    assert read_json('{"a": 1, "b": 2}', "file") == {"a": 1, "b": 2}
