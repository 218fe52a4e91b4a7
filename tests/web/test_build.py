"""The page is one folder: everything it needs is in it, a later build replaces it, and nothing else is touched."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.data import table
from llmcalc.web.build import MANIFEST, PYTHON, build
from llmcalc.web.pyodide import ARCHIVE, NAMES, packed_python, pyodide_files

Capture = pytest.CaptureFixture[str]


LEFT_OUT = ("unittest/__init__.py", "pdb.py", "encodings/big5.py", "encodings/iso8859_15.py")


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like Pyodide."""
    folder = tmp_path_factory.mktemp("pyodide")
    for name in NAMES:
        (folder / name).write_bytes(name.encode())
    (folder / "pyodide-lock.json").write_text(json.dumps({"info": {"python": "3.14"}, "packages": {"numpy": {}}}))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stdlib:
        for name in ("this.py", *LEFT_OUT):
            stdlib.writestr(name, "print(1)\n" * 100)
    (folder / "python_stdlib.zip").write_bytes(archive.getvalue())
    return folder


@pytest.fixture(scope="module")
def site(pyodide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "site"
    build(folder, pyodide)
    return folder


def files_in(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_the_manifest_names_every_file(site: Path) -> None:
    hashes = json.loads((site / MANIFEST).read_text().partition("self.FILES = ")[2].rstrip(";\n"))
    assert set(hashes) == files_in(site) - {"index.html", "offline.js", MANIFEST} | {"./"}
    for name, expected in hashes.items():
        content = (site / ("index.html" if name == "./" else name)).read_bytes()
        assert expected == f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}"


def test_python_is_stored_compressed(site: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(gzip.decompress((site / PYTHON / "python_stdlib.zip.gz").read_bytes()))) as stdlib:
        assert stdlib.read("this.py") == b"print(1)\n" * 100
        assert stdlib.infolist()[0].compress_type == zipfile.ZIP_STORED
        assert stdlib.namelist() == ["this.py"]
    lock = json.loads((site / PYTHON / "pyodide-lock.json").read_text())
    assert lock == {"info": {"python": "3.14"}, "packages": {}}
    assert gzip.decompress((site / PYTHON / "pyodide.asm.wasm.gz").read_bytes()) == b"pyodide.asm.wasm"


def test_python_is_compressed_once(pyodide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = pyodide_files(pyodide)
    first = packed_python(files)
    (folder,) = (tmp_path / "llmcalc").iterdir()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    (folder / "pyodide.mjs").write_bytes(b"kept")
    assert packed_python(files)["pyodide.mjs"] == b"kept"
    assert packed_python(files | {"pyodide.mjs": b"other"})["pyodide.mjs"] == b"other"


def test_the_bundle_has_the_package_without_what_a_browser_cannot_run(site: Path) -> None:
    files = json.loads(gzip.decompress((site / "llmcalc.json.gz").read_bytes()))
    package = Path(llmcalc.__file__).parent
    modules = {f"llmcalc/{file.relative_to(package).as_posix()}" for file in package.rglob("*.py")}
    missing = {name for name in modules - set(files) if not {"twins", "verification"} & set(name.split("/"))}
    on_this_computer = ("build", "bundle", "cache", "catalogue", "form_files", "forms", "pyodide", "serve")
    assert missing == {"llmcalc/testing.py", *(f"llmcalc/web/{name}.py" for name in on_this_computer)}
    assert not any("/twins/" in name for name in files)
    assert json.loads(files["llmcalc/data/optimizers.json"]) == table("optimizers")
    assert "llmcalc/presets/gpt3.yaml" in files
    assert json.loads(files["llmcalc/presets/gpt3.json"])["title"]


def test_a_build_is_repeatable_and_replaces_an_earlier_one(pyodide: Path, tmp_path: Path) -> None:
    first = build(tmp_path / "a", pyodide)
    assert build(tmp_path / "b", pyodide).version == first.version
    (tmp_path / "a" / "old.js").write_text("1")
    manifest = tmp_path / "a" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"./":', '"old.js": "", "../kept.js": "", "./":'))
    (tmp_path / "a" / "mine.txt").write_text("1")
    (tmp_path / "kept.js").write_text("1")
    build(tmp_path / "a", pyodide)
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b") | {"mine.txt"}
    assert (tmp_path / "kept.js").exists()


def test_a_folder_with_other_files_is_refused(pyodide: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine.txt").write_text("1")
    words = ["web", "build", "-o", str(tmp_path), "--pyodide", str(pyodide)]
    assert main(words) == 2
    assert "folder is not empty\n  pass --force" in capsys.readouterr().err
    assert files_in(tmp_path) == {"mine.txt"}
    assert main([*words, "--force"]) == 0
    assert "MB on a first visit" in capsys.readouterr().out
    assert (tmp_path / "mine.txt").read_text() == "1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("build", "--output: missing"),
        ("build -o {folder}/file", "file: is not a folder"),
        ("build -o {folder}/site --pyodide {folder}", "has no file pyodide.mjs"),
        ("build -o {folder}/site --pyodide {folder}/missing.tgz", "cannot be read"),
        ("build -o {folder}/site --pyodide {folder}/file", "is not Pyodide 314"),
        ("serve {folder}", "has no index.html\n  build it first: llmcalc web build -o "),
        ("serve {folder} --port 70000", "--port: must be at most 65535"),
        ("{folder}", "has no index.html"),
        ("serve {folder} --pyodide {folder}", "--pyodide: has no effect with a folder"),
    ],
)
def test_mistakes(words: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["web", *words.format(folder=tmp_path).split()]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert not printed.out


def test_without_npm_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["web", "build", "-o", str(tmp_path / "site")]) == 2
    assert f"download {ARCHIVE} from npm elsewhere and pass --pyodide FOLDER" in capsys.readouterr().err
