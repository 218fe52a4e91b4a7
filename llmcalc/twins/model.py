"""A whole model: weights by name, stacks that run one after the other, steps with and without a cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.architecture import Architecture
from ..core.errors import InputError, UnknownNameError, UnsupportedError, shown
from .grid import grid_of
from .handed import Handed
from .plan import PlacedStack, place
from .stack import run_stack
from .step import Cache, Step
from .weights import Array

SPREAD = 0.2  # of random weights: large enough that every part of the model shows in the logits
NO_IDS: Mapping[str, Array] = {}


class Model:
    """The NumPy model of an architecture; float64 throughout.

    Attributes:
        tensors: every weight and buffer once, by its logical name (``decoder.blocks.0.attention.wq``).
    """

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        self.architecture = architecture
        self.stacks: list[PlacedStack] = place(architecture)
        rng = np.random.default_rng(seed)
        self.tensors: dict[str, Array] = {}
        for layer in (layer for stack in self.stacks for layer in stack.layers()):
            for weight in layer.weights:
                name = layer.names[weight.name]
                if name not in self.tensors:
                    self.tensors[name] = weight.random(rng, SPREAD)

    @property
    def parameters(self) -> dict[str, Array]:
        """The weights that count as parameters: no buffers."""
        buffers = {layer.names[weight.name] for layer in self._layers() for weight in layer.weights if weight.buffer}
        return {name: array for name, array in self.tensors.items() if name not in buffers}

    def load(self, weights: Mapping[str, Array]) -> None:
        """Take the weights of a checkpoint, by the names that it uses.

        Raises:
            InputError: a missing, unexpected or mis-shaped tensor, or one that is not finite.
        """
        from .checkpoint import read

        self.tensors.update(read(self.architecture, self.stacks, weights))

    def forward(
        self,
        ids: Array,
        decoder_input_ids: Array | None = None,
        token_type_ids: Array | None = None,
        *,
        bbox: Array | None = None,
        logits: str = "all",
        pixels: Array | None = None,
        grid: tuple[int, int] | None = None,
        image_token_id: int | None = None,
        **own_ids: Array,
    ) -> Array:
        """Logits [b q V] of ``ids`` [b q] (encoder-decoder: of ``decoder_input_ids``), without a cache.

        ``ids`` of an encoder that hears are frames [b r channels]. ``token_type_ids`` [b q] are segments, of which
        tables give a token several [b q n]; ``bbox`` [b q 4] are the edges of each token on the page: left, upper,
        right, lower. Further tables have ``own_ids`` [b q], such as ``task_type_ids``. What the towers make of
        ``pixels``, as of ``see``, takes the places of the tokens ``image_token_id``, one vector each.
        """
        known = {str(getattr(layer.layer, "own_ids", "")) for layer in self._layers()} - {""}
        for name, given in own_ids.items():
            if name not in known:
                raise UnknownNameError("input", name, [*known, "decoder_input_ids", "token_type_ids", "bbox"])
            if np.shape(given) != np.shape(ids):
                raise InputError(f"{name} has the shape {np.shape(given)}, but token ids {np.shape(ids)}")
        seen = None if pixels is None else self._seen(ids, pixels, grid, image_token_id)
        return self._run(ids, decoder_input_ids, token_type_ids, None, logits, bbox, own_ids, seen)

    def see(self, pixels: Array, grid: tuple[int, int] | None = None) -> tuple[Array, ...]:
        """What the tower makes of an image's patches ``pixels`` [b p c (f) i j]: one array [b m d], or several.

        Patches come row by row; ``grid`` is the number of their rows and columns (default: those of a square). Where
        learned vectors look at what a tower gives, it is they that are given.
        """
        first, *asking = self._towers()
        step = self._step(pixels, first, None)
        step.grid = step.whole_grid = grid_of(step.ids.shape[1], grid)
        last, results = run_stack(first, self.tensors, step, None, "all"), step.results
        for tower in asking:
            asks = Step(np.zeros((len(step.ids), tower.n_asking), int), source=last)
            last = run_stack(tower, self.tensors, asks, None, "all")
        return (*results, last)

    def _seen(
        self, ids: Array, pixels: Array, grid: tuple[int, int] | None, image_token_id: int | None
    ) -> tuple[Array, Array]:
        """The vectors of an image, and the tokens whose places they take.

        Raises:
            UnsupportedError: the text does more with an image than that.
        """
        if not self._towers()[-1].stack.replaces_placeholder_tokens:
            text = f"what {self.architecture.name} does with an image beside its text is not described"
            raise UnsupportedError(text, hint="see() gives what its tower makes of the image")
        if image_token_id is None:
            raise InputError("image_token_id is missing", hint="the id of the tokens whose places an image takes")
        (vectors,) = self.see(pixels, grid)
        return vectors, np.asarray(ids) == image_token_id

    def _towers(self) -> list[PlacedStack]:
        """The tower that reads pixels, and those that look at what the one before has given."""
        towers = [stack for stack in self.stacks if stack.stack.role == "tower"]
        described = sum(stack.role == "tower" for stack in self.architecture.stacks)
        if not towers or len(towers) < described or any(not tower.n_asking for tower in towers[1:]):
            run = f"of {described} towers {len(towers)} have a NumPy model"
            raise InputError(f"{self.architecture.name}: {run}; one is run, and others that look at what it gives")
        return towers

    def prefill(
        self, ids: Array, decoder_input_ids: Array | None = None, *, logits: str = "all"
    ) -> tuple[Array, Cache]:
        """The same, and the cache that the next step needs."""
        cache = Cache()
        return self._run(ids, decoder_input_ids, None, cache, logits), cache

    def decode(self, ids: Array, cache: Cache) -> Array:
        """Logits of further tokens ``ids`` [b q] behind those in the cache, which grows by them."""
        if not cache.length:
            raise InputError("there is nothing in the cache", hint="prefill first")
        return self._run(ids, None, None, cache, "all")

    def _run(
        self,
        ids: Array,
        target: Array | None,
        segments: Array | None,
        cache: Cache | None,
        logits: str,
        boxes: Array | None = None,
        own_ids: Mapping[str, Array] = NO_IDS,
        seen: tuple[Array, Array] | None = None,
    ) -> Array:
        main = self.architecture.main
        if self.architecture.is_encoder_decoder and target is None and not (cache and cache.length):
            raise InputError("an encoder-decoder model needs decoder_input_ids")
        if target is not None and not self.architecture.is_encoder_decoder:
            raise InputError(f"decoder_input_ids belong to an encoder-decoder; {self.architecture.name} is none")
        source: Array | None = None
        result: Array | None = None
        handed = Handed()
        for stack in (stack for stack in self.stacks if stack.stack.role != "tower" and not stack.stack.unused):
            is_main = stack.stack is main
            if stack.stack.role == "encoder" and not is_main and cache is not None and cache.length:
                continue  # what the decoder needs of the encoder is in its cache
            own = target if is_main and target is not None else ids
            if stack.is_handed:
                step = handed.step(stack.stack.patch, stack.width_in, cache.length if cache else 0)
            else:
                step = self._step(own, stack, cache)
                step.source = source
            if not step.ids.shape[1]:  # no patch ends here
                continue
            step.segments, step.boxes, step.own_ids, step.seen = segments, boxes, own_ids, seen
            result = run_stack(stack, self.tensors, step, cache, logits)
            source = result
            handed.take(stack.stack.patch, step, result)
        if cache is not None:
            cache.extend(ids if target is None else target)
        return result

    def _step(self, own: Array, stack: PlacedStack, cache: Cache | None) -> Step:
        """A step of a stack on tokens, or on what it reads instead of them."""
        cached = cache.length if cache else 0
        if not stack.data(1):
            new = self._checked(own, stack)
            return Step(new, cached, text=None if cache is None else cache.with_text(new))
        if len(getattr(own, "shape", ())) < 2:
            raise InputError(f"{stack.stack.name} reads an array, not {shown(own)}")
        b, rows, *inner = own.shape
        one, two = (stack.data(tokens)[0] for tokens in (1, 2))  # type: ignore[index]
        tokens = (rows - 2 * one + two) // (two - one)  # beyond what the first is made of, each takes as many rows
        if not tokens or (rows, *inner) != stack.data(tokens):
            wanted = ", ".join(map(str, stack.data(max(tokens, 1)) or ()))
            raise InputError(f"{stack.stack.name} reads an array [batch, {wanted}], not {list(own.shape)}")
        return Step(np.zeros((b, tokens), int), cached, data=own)

    def _checked(self, ids: Any, stack: PlacedStack) -> Array:
        """Token ids as an array [b q] of integers that the token table has."""
        found = np.asarray(ids)
        if found.ndim != 2 or found.dtype.kind not in "iu" or found.size == 0:
            raise InputError(f"token ids are integers [batch, tokens], not {shown(ids)}")
        if found.min() < 0 or found.max() >= stack.vocab:
            raise InputError(f"token id {found.max()} is not one of the {stack.vocab} in the table")
        return found

    def _layers(self) -> list[Any]:
        return [layer for stack in self.stacks for layer in stack.layers()]
