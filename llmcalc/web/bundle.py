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

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = ("twins", "web/page")  # folders; `verify` needs NumPy, and the page itself is not part of the package
ON_THE_HOST = ("testing.py", "web/build.py", "web/bundle.py", "web/pyodide.py", "web/serve.py")
TEXTS = (".py", ".layout", ".txt")


def bundle() -> dict[str, str]:
    """Return the text of every file that the page needs, by path below the folder of the package."""
    return dict((*_package(), *_presets(), *_yaml()))


def packed(files: dict[str, str]) -> bytes:
    """Return files as compressed JSON, with the same bytes for the same files."""
    text = json.dumps(files, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8"), mtime=0)


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
    return name not in ON_THE_HOST and not any(f"/{folder}/" in f"/{name}" for folder in LEFT_OUT)


def _compiled(file: Path) -> str:
    """Return a data file as compact JSON. Fields keep their order, which is the order of blocks and tensors."""
    from ..schema.yaml_reader import read_yaml

    text = file.read_text("utf-8")
    data = json.loads(text) if file.suffix == ".json" else read_yaml(text, file.name).data
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _presets() -> Iterator[tuple[str, str]]:
    """Yield every preset as YAML, from which its name and its listing come, and as JSON, which is fast to read."""
    from ..schema.preset_files import shipped_folder

    for file in sorted(Path(shipped_folder()).glob("*.yaml")):
        yield f"llmcalc/presets/{file.name}", file.read_text("utf-8")
        yield f"llmcalc/presets/{file.stem}.json", _compiled(file)


def _yaml() -> Iterator[tuple[str, str]]:
    """Yield the YAML parser, which is pure Python without its optional extension."""
    import yaml

    for file in sorted(Path(yaml.__file__).parent.glob("*.py")):
        yield f"yaml/{file.name}", file.read_text("utf-8")
