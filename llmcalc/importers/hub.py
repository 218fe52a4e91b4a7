"""Access to configs and tensor headers on the Hugging Face Hub without downloading weights.

A source has the form ``hf:org/name@revision``. The optional package ``huggingface_hub`` handles caching, access
tokens, offline mode and ``HF_ENDPOINT``. Headers are read with range requests or from cached files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..checkpoint.headers import GGUF, Headers, gguf, limits, safetensors
from ..checkpoint.headers.checkpoint_files import (
    CONFIG,
    INDEX,
    check_index,
    config_beside,
    join,
    read_headers,
    read_index,
)
from ..core.errors import DescriptionError, short_repr
from ..core.record import NamedTuple

SCHEME = "hf:"
INSTALL = "pip install huggingface_hub"
SINGLE = "model.safetensors"
CHUNK = 1 << 16  # of a download, in bytes
SECONDS = 30  # timeout of a request in seconds
_UNREACHABLE = ("Connect", "Timeout", "ReadTimeout")  # errors of requests and httpx without an answer
REACH_S = 5  # timeout of the first request in seconds
PARTIAL = 206  # HTTP status of a range response
_NETWORK_PACKAGES = ("httpx", "httpcore", "requests", "urllib3", "huggingface_hub")
_SOURCE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[\w./-]+?))?(/(?P<file>[^/@]+\.gguf))?")


class Place(NamedTuple):
    """Hub repository with an optional revision and an optional GGUF file name."""

    repo: str
    revision: str | None
    file: str

    @property
    def name(self) -> str:
        """Source string, such as ``hf:org/name@revision``."""
        revision, file = f"@{self.revision}" if self.revision else "", f"/{self.file}" if self.file else ""
        return f"{SCHEME}{self.repo}{revision}{file}"


def read_place(source: str) -> Place:
    """Parse a source such as ``hf:org/name@revision`` or ``hf:org/name/file.gguf``."""
    match = _SOURCE.fullmatch(source.removeprefix(SCHEME))
    if match is None or ".." in source or len(source) > limits.LONGEST_NAME:
        hint = "Use hf:org/name, hf:org/name@revision or hf:org/name/file.gguf."
        raise DescriptionError("is not a valid Hugging Face Hub source", where=short_repr(source), hint=hint)
    return Place(match["repo"], match["revision"], match["file"] or "")


def config(source: str) -> Path:
    """Return the path of a repository's ``config.json`` in the Hub cache."""
    place = read_place(source)
    with _explained(place, CONFIG):
        return _download(place, CONFIG)


def headers(source: str) -> Headers:
    """Return the tensor headers of a repository's safetensors files or of the specified GGUF file."""
    place = read_place(source)
    if place.file:
        with _explained(place, place.file):
            return _gguf(place)
    with _explained(place, CONFIG):
        described = config_beside(_download(place, CONFIG))
    with _explained(place, INDEX):
        index = _index(place)
    names = list(dict.fromkeys(index.values())) if index else [SINGLE]
    if len(names) > limits.MOST_FILES:
        message = f"the repository has {len(names):,} weight files; the limit is {limits.MOST_FILES:,}"
        raise DescriptionError(message, where=source)
    files = []
    for name in names:
        with _explained(place, name):
            if cached := _cached(place, name):
                files.append(safetensors.read_file(cached)._replace(name=name))
            else:
                files.append(safetensors.read(*_remote(place, name), name, f"{place.name}: {name}"))
    found = join(place.name, "safetensors", files, described)
    if index:
        check_index(index, found, f"{place.name}: {INDEX}")
    return found


def _gguf(place: Place) -> Headers:
    if cached := _cached(place, place.file):
        return read_headers(cached)
    reader, size = _remote(place, place.file)
    return Headers(place.name, GGUF[1:], (gguf.read_start(reader, size, place.file, place.name),))


def _index(place: Place) -> dict[str, str] | None:
    """Return a mapping from tensor name to file name, or None if the repository has no index."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        file = _download(place, INDEX)
    except LocalEntryNotFoundError:  # offline and not in the cache: the repository may have a single weight file
        if _cached(place, SINGLE):
            return None
        raise
    except EntryNotFoundError:
        return None
    return read_index(file, f"{place.name}: {INDEX}")


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise DescriptionError("hf: sources require the huggingface_hub package", where=SCHEME, hint=INSTALL) from None
    return huggingface_hub


def _download(place: Place, name: str) -> Path:
    """Return the cached path of a small file, downloading the file if needed.

    If the Hub cannot be reached, the library repeats the request for 20 seconds unless the file is cached. Therefore,
    the Hub is asked once before.
    """
    if not (_is_offline() or _cached(place, name)):
        library = _library()
        library.get_hf_file_metadata(library.hf_hub_url(place.repo, name, revision=place.revision), timeout=REACH_S)
    return Path(_library().hf_hub_download(place.repo, name, revision=place.revision))


def _is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.is_offline_mode() if hasattr(constants, "is_offline_mode") else constants.HF_HUB_OFFLINE)


def _cached(place: Place, name: str) -> Path | None:
    found = _library().try_to_load_from_cache(place.repo, name, revision=place.revision)
    return Path(found) if isinstance(found, str) else None


def _remote(place: Place, name: str) -> tuple[Callable[[int, int], bytes], int]:
    """Return a byte range reader for a remote file, and the file size."""
    library = _library()
    if _is_offline():
        raise DescriptionError(f"{name} is not cached, and offline mode is enabled", where=place.name)
    url = library.hf_hub_url(place.repo, name, revision=place.revision)
    found = library.get_hf_file_metadata(url)
    size = int(found.size or 0)

    def read(start: int, length: int) -> bytes:
        return _range(found.location or url, start, min(length, size - start), place, name) if start < size else b""

    return read, size


def _range(url: str, start: int, length: int, place: Place, name: str) -> bytes:
    """Read a byte range of a remote file, ignoring any bytes that the server sends after the range."""
    if length <= 0:
        return b""
    from huggingface_hub import utils

    asked = {**utils.build_hf_headers(), "Range": f"bytes={start}-{start + length - 1}"}  # type: ignore[attr-defined]
    session: Any = utils.get_session()  # type: ignore[attr-defined]
    if callable(getattr(session, "stream", None)):  # httpx, used by later versions
        streamed = session.stream("GET", url, headers=asked, timeout=SECONDS)
    else:  # requests
        streamed = session.get(url, headers=asked, timeout=SECONDS, stream=True)
    with streamed as answer:
        if answer.status_code != PARTIAL:
            message = f"the server answered a range request for {name} with status {answer.status_code}"
            raise DescriptionError(message, where=place.name)
        chunks, got = [], 0
        for chunk in answer.iter_bytes() if hasattr(answer, "iter_bytes") else answer.iter_content(CHUNK):
            chunks.append(chunk)
            got += len(chunk)
            if got >= length:
                break
    return b"".join(chunks)[:length]


@contextmanager
def _explained(place: Place, name: str) -> Iterator[None]:
    """Translate ``huggingface_hub`` exceptions into one-line errors."""
    _library()
    from huggingface_hub import errors

    try:
        yield
    except Exception as error:
        known = (  # subclasses come before their base class
            (errors.GatedRepoError, "the repository is gated",
             "Accept its terms on the Hub and log in (hf auth login)."),
            (errors.RepositoryNotFoundError, "the repository does not exist or is private", ""),
            (errors.RevisionNotFoundError, f"unknown revision {short_repr(place.revision)}", ""),
            (errors.LocalEntryNotFoundError, f"{name} is not in the cache, and the Hub cannot be reached",
             "Check the network connection and HF_ENDPOINT."),
            (errors.EntryNotFoundError, f"the repository has no file {name}",
             "For a GGUF file, use hf:org/name/file.gguf." if name == CONFIG else ""),
            (errors.HFValidationError, f"invalid repository name: {str(error)[:200]}", ""),
        )  # fmt: skip
        reason = type(error).__name__
        if reason.startswith(_UNREACHABLE):
            error = errors.LocalEntryNotFoundError(reason)
        if isinstance(error, OSError | ValueError):  # no response, or an invalid one
            reason = str(error).splitlines()[0][:200] if str(error) else reason
        elif not type(error).__module__.startswith(_NETWORK_PACKAGES):
            raise
        usual = f"{name} cannot be read from the Hub: {reason}"
        message, hint = next((rest for kind, *rest in known if isinstance(error, kind)), (usual, ""))
        raise DescriptionError(message, where=place.name, hint=hint) from None
