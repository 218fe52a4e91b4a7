"""``hf:org/name@revision``: configs and headers from the Hugging Face Hub, never the weights behind them.

Through ``huggingface_hub``, an optional extra, whose cache, token, offline mode and endpoint (``HF_ENDPOINT`` ...) hold
here too. Headers are read by range, or from files that are in the cache already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoint.headers import GGUF, Headers, gguf, limits, safetensors
from ..checkpoint.headers.checkpoint import CONFIG, INDEX, check_index, join, read_headers, read_index
from ..core.errors import DescriptionError, shown

SCHEME = "hf:"
INSTALL = "pip install huggingface_hub"
SINGLE = "model.safetensors"
FIRST_READ, LONGEST_READ = 1 << 16, 64 << 20  # bytes
SECONDS = 30  # until a server has answered
PARTIAL = 206  # the HTTP status of a range
_SOURCE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[\w./-]+?))?(/(?P<file>[^/@]+\.gguf))?")


class Place(NamedTuple):
    """A repository at a revision, and the GGUF file in it that is meant, if one is."""

    repo: str
    revision: str | None
    file: str

    @property
    def name(self) -> str:
        """How it was written."""
        return (
            f"{SCHEME}{self.repo}{f'@{self.revision}' if self.revision else ''}{f'/{self.file}' if self.file else ''}"
        )


def read_place(source: str) -> Place:
    """A source such as ``hf:org/name@revision`` or ``hf:org/name/file.gguf``.

    Raises:
        DescriptionError: another spelling.
    """
    match = _SOURCE.fullmatch(source.removeprefix(SCHEME))
    if match is None or ".." in source or len(source) > limits.LONGEST_NAME:
        hint = "write hf:org/name, hf:org/name@revision or hf:org/name/file.gguf"
        raise DescriptionError("names no repository of the Hub", where=shown(source), hint=hint)
    return Place(match["repo"], match["revision"], match["file"] or "")


def config(source: str) -> Path:
    """The path of a repository's ``config.json`` in the Hub's cache.

    Raises:
        DescriptionError: no such repository or file, none that can be reached, or no ``huggingface_hub``.
    """
    place = read_place(source)
    with _explained(place, CONFIG):
        return _download(place, CONFIG)


def headers(source: str) -> Headers:
    """The headers of a repository's safetensors, or of the GGUF that is named.

    Raises:
        DescriptionError: as ``config``, or headers that are none.
    """
    place = read_place(source)
    if place.file:
        with _explained(place, place.file):
            return _gguf(place)
    from ..checkpoint.headers.checkpoint import config_beside

    with _explained(place, CONFIG):
        described = config_beside(_download(place, CONFIG))
    with _explained(place, INDEX):
        index = _index(place)
    names = list(dict.fromkeys(index.values())) if index else [SINGLE]
    if len(names) > limits.MOST_FILES:
        raise DescriptionError(f"{len(names):,} files; no more than {limits.MOST_FILES:,} are read", where=source)
    files = []
    for name in names:
        with _explained(place, name):
            cached = _cached(place, name)
            if cached:
                files.append(safetensors.read_file(cached)._replace(name=name))
            else:
                reader, size = _remote(place, name)
                files.append(safetensors.read(reader, size, name, f"{place.name}: {name}"))
    found = join(place.name, "safetensors", files, described)
    if index:
        check_index(index, found, f"{place.name}: {INDEX}")
    return found


def _gguf(place: Place) -> Headers:
    cached = _cached(place, place.file)
    if cached:
        return read_headers(cached)
    reader, size = _remote(place, place.file)
    length = FIRST_READ
    while True:
        try:
            found = gguf.read(reader(0, min(length, size)), size, place.file, place.name)
            return Headers(place.name, GGUF[1:], (found,))
        except gguf.ShortReadError:
            if length >= min(size, LONGEST_READ):
                message = f"its head is longer than {LONGEST_READ:,} bytes"
                raise DescriptionError(message, where=place.name) from None
            length *= 4


def _index(place: Place) -> dict[str, str] | None:
    """The file of each tensor, if there is an index."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        file = _download(place, INDEX)
    except LocalEntryNotFoundError:  # offline, and not in the cache: there is one file, or nothing
        if _cached(place, SINGLE):
            return None
        raise
    except EntryNotFoundError:
        return None
    size = limits.regular_file(file)
    return read_index(limits.read_range(file, 0, size), f"{place.name}: {INDEX}")


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise DescriptionError("hf: needs the package huggingface_hub", where=SCHEME, hint=INSTALL) from None
    return huggingface_hub


def _download(place: Place, name: str) -> Path:
    """A small file, in the cache."""
    return Path(_library().hf_hub_download(place.repo, name, revision=place.revision))


def _cached(place: Place, name: str) -> Path | None:
    found = _library().try_to_load_from_cache(place.repo, name, revision=place.revision)
    return Path(found) if isinstance(found, str) else None


def _remote(place: Place, name: str) -> tuple[Callable[[int, int], bytes], int]:
    """A reader of ranges of a file on the Hub, and the file's size."""
    library = _library()
    from huggingface_hub import constants

    if constants.is_offline_mode() if hasattr(constants, "is_offline_mode") else constants.HF_HUB_OFFLINE:
        raise DescriptionError(f"{name} is not in the cache, and the Hub is offline", where=place.name)
    url = library.hf_hub_url(place.repo, name, revision=place.revision)
    found = library.get_hf_file_metadata(url)
    size = int(found.size or 0)

    def read(start: int, length: int) -> bytes:
        return _range(found.location or url, start, min(length, size - start), place, name) if start < size else b""

    return read, size


def _range(url: str, start: int, length: int, place: Place, name: str) -> bytes:
    """Bytes of a file, asked for by range; a server that sends more is not listened to."""
    if length <= 0:
        return b""
    from huggingface_hub import utils

    asked = {**utils.build_hf_headers(), "Range": f"bytes={start}-{start + length - 1}"}  # type: ignore[attr-defined]
    session: Any = utils.get_session()  # type: ignore[attr-defined]
    if callable(getattr(session, "stream", None)):  # httpx, which later versions use
        streamed = session.stream("GET", url, headers=asked, timeout=SECONDS)
    else:  # requests
        streamed = session.get(url, headers=asked, timeout=SECONDS, stream=True)
    with streamed as answer:
        if answer.status_code != PARTIAL:
            message = f"the server answers a range of {name} with status {answer.status_code}"
            raise DescriptionError(message, where=place.name)
        chunks, got = [], 0
        for chunk in answer.iter_bytes() if hasattr(answer, "iter_bytes") else answer.iter_content(FIRST_READ):
            chunks.append(chunk)
            got += len(chunk)
            if got >= length:
                break
    return b"".join(chunks)[:length]


@contextmanager
def _explained(place: Place, name: str) -> Iterator[None]:
    """Say in one line what the Hub's library says in many."""
    _library()
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        hint = "accept its conditions on the Hub, and log in (hf auth login)"
        raise DescriptionError("is gated", where=place.name, hint=hint) from None
    except errors.RepositoryNotFoundError:
        raise DescriptionError("there is no such repository, or it is private", where=place.name) from None
    except errors.RevisionNotFoundError:
        raise DescriptionError(f"there is no revision {shown(place.revision)}", where=place.name) from None
    except errors.LocalEntryNotFoundError:
        message = f"{name} is not in the cache, and the Hub cannot be reached"
        raise DescriptionError(message, where=place.name, hint="offline, or a wrong HF_ENDPOINT?") from None
    except errors.EntryNotFoundError:
        hint = "a GGUF is named: hf:org/name/file.gguf" if name == CONFIG else ""
        raise DescriptionError(f"has no file {name}", where=place.name, hint=hint) from None
    except errors.HFValidationError as error:
        raise DescriptionError(f"names no repository: {str(error)[:200]}", where=place.name) from None
    except (OSError, ValueError) as error:  # no answer, or one that the library does not understand
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DescriptionError(f"{name} cannot be read from the Hub: {reason}", where=place.name) from None
    except DescriptionError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3", "huggingface_hub")):
            raise
        raise DescriptionError(
            f"{name} cannot be read from the Hub: {type(error).__name__}", where=place.name
        ) from None
