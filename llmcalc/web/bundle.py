"""The package as one file for the page: the modules and compiled data that a browser needs, by path.

>>> files = bundle()
>>> "llmcalc/core/record.py" in files, "llmcalc/twins/attention.py" in files
(True, False)
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
NOT_RUN = ("testing.py", "verification/", "twins/")  # need NumPy
IN_THE_WORKER = ("__init__.py", "worker.py", "line_completion.py", "answers/")  # of this folder
TEXTS = (".py", ".layout", ".txt")


def bundle() -> dict[str, str]:
    """Return the text of every file that the page needs, by path below the folder of the package."""
    return dict((*_package(), *_presets(), *_yaml()))


def packed(content: Any) -> bytes:
    """Return a content, such as files, as compressed JSON, with the same bytes for the same content."""
    return gzip.compress(_json(content).encode(), mtime=0)


def _json(content: Any) -> str:
    """Return a content as compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _package() -> Iterator[tuple[str, str]]:
    for file in sorted(PACKAGE.rglob("*")):
        place = file.relative_to(PACKAGE)
        if place.parts[0] == "presets" or "__pycache__" in place.parts or not _is_needed(place):
            continue
        if file.suffix in TEXTS:
            yield f"llmcalc/{place.as_posix()}", file.read_text("utf-8")
        elif file.suffix == ".json" or (file.suffix == ".yaml" and not file.with_suffix(".json").exists()):
            yield f"llmcalc/{place.with_suffix('.json').as_posix()}", _compiled(file)


def _is_needed(place: Path) -> bool:
    name = place.as_posix()
    if place.parts[0] == "web":
        return name.removeprefix("web/").startswith(IN_THE_WORKER)
    return not name.startswith(NOT_RUN) and "/twins/" not in name


def _compiled(file: Path) -> str:
    """Return a data file as compact JSON. Fields keep their order, which is the order of blocks and tensors."""
    from ..schema.yaml_reader import read_yaml

    text = file.read_text("utf-8")
    return _json(json.loads(text) if file.suffix == ".json" else read_yaml(text, file.name).data)


def _presets() -> Iterator[tuple[str, str]]:
    """Yield presets as YAML, which `presets show` prints, and as JSON, which is fast to read, their index, and the
    JSON Schemas, which pydantic generates.
    """
    from ..report.result_schema import result_schema
    from ..report.search import INDEX, index
    from ..schema.json_schema import preset_schema
    from ..schema.preset_files import shipped_folder

    for file in sorted(Path(shipped_folder()).glob("*.yaml")):
        yield f"llmcalc/presets/{file.name}", file.read_text("utf-8")
        yield f"llmcalc/presets/{file.stem}.json", _compiled(file)
    yield f"llmcalc/presets/{INDEX}", _json(index())
    for name, schema in (("preset", preset_schema()), ("result", result_schema())):
        yield f"llmcalc/presets/{name}.schema.json", json.dumps(schema, indent=1, ensure_ascii=False)


def _yaml() -> Iterator[tuple[str, str]]:
    """Yield the YAML parser, which is pure Python without its optional extension."""
    import yaml

    for file in sorted(Path(yaml.__file__).parent.glob("*.py")):
        yield f"yaml/{file.name}", file.read_text("utf-8")
