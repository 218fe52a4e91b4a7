"""Build hook: presets go into the wheel as YAML, for readers, and as JSON, which loads without a YAML parser.
An index of their models makes searches fast, and compiled closed forms make the page of ``llmcalc web`` fast to build.

Only a real wheel gets them. An editable install reads ``presets/`` of the checkout, so edits take effect at once, and
nothing is written into the source tree. An invalid preset or data file fails the build.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PresetHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds ``presets/*.yaml`` and their compiled form to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile presets and data files into a temporary folder and add them to the wheel."""
        if version != "standard":
            return
        root = Path(self.root)
        self.folder = Path(tempfile.mkdtemp(prefix="llmcalc-presets-"))
        sys.path.insert(0, str(root))
        try:
            for source, target in compile_all(root, self.folder):
                build_data["force_include"][str(source)] = target
        finally:
            sys.path.remove(str(root))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        if version == "standard":
            shutil.rmtree(self.folder, ignore_errors=True)


def compile_all(root: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Each preset and compiled file with its path in the wheel.

    Raises:
        InputError: an invalid data file, layout or preset, or a preset with a size that cannot be built.
    """
    from llmcalc.checkpoint.layouts.reader import rules_of, sections
    from llmcalc.report.search import INDEX, index
    from llmcalc.schema.models.data import check_data_file
    from llmcalc.schema.preset import check_file
    from llmcalc.schema.yaml_reader import read_yaml
    from llmcalc.web.form_files import SHIPPED, compile_files

    for section, _ in sections():  # layouts are in the wheel as text
        rules_of(section)
    presets = sorted((root / "presets").glob("*.yaml"))
    if not presets:
        raise RuntimeError(f"no presets in {root / 'presets'}")
    for file in presets:
        check_file(file)
        yield file, f"llmcalc/presets/{file.name}"
    schema = root / "presets" / "preset.schema.json"
    yield schema, f"llmcalc/presets/{schema.name}"
    data_files = list(_data_files(root))
    for file in [*(file for file, _ in data_files), *(root / "llmcalc" / "data").rglob("*.json")]:
        check_data_file(file, root / "llmcalc")
    listing = folder / INDEX
    listing.write_text(json.dumps(index(), ensure_ascii=False, separators=(",", ":")), "utf-8")
    yield listing, f"llmcalc/presets/{INDEX}"
    # fields keep their order, which is the order of blocks and tensors
    for file, place in [*((file, "presets") for file in presets), *data_files]:
        compiled = folder / place / f"{file.stem}.json"
        compiled.parent.mkdir(parents=True, exist_ok=True)
        data = read_yaml(file.read_text("utf-8"), file.name).data
        compiled.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), "utf-8")
        yield compiled, f"llmcalc/{place}/{compiled.name}"
    (folder / SHIPPED).mkdir()
    for name, content in compile_files().items():
        forms = folder / SHIPPED / name
        forms.write_bytes(content)
        yield forms, f"llmcalc/web/{SHIPPED}/{name}"


def _data_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every YAML file of the package with its folder in it."""
    package = root / "llmcalc"
    for file in sorted(package.rglob("*.yaml")):
        yield file, file.parent.relative_to(package).as_posix()
