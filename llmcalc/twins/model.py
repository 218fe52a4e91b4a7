"""NumPy models with named weights, run with or without a cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.architecture import PREDICTION, Architecture
from ..core.errors import InputError, UnknownNameError, UnsupportedError, short_repr
from .grid import grid_of
from .plan import NO_MODULES, PlacedStack, id_input, place
from .stack import run_stack
from .step import Cache, PatchHandover, Step
from .weights import Array

SPREAD = 0.2  # standard deviation of random weights, large enough for every part to affect the logits
NO_IDS: Mapping[str, Array] = {}


class Model:
    """NumPy model of an architecture, computed in float64.

    Attributes:
        tensors: all distinct weights and buffers, by logical name (``decoder.blocks.0.attention.wq``).
        predictions: logits of the last pass from each module for multi-token prediction. Module ``k`` reads the token
            ``k`` positions later. The last positions read the first tokens, as no later ones are known.
    """

    def __init__(self, architecture: Architecture, seed: int = 0, modules: Mapping[str, Any] = NO_MODULES) -> None:
        self.architecture = architecture
        self.stacks: list[PlacedStack] = place(architecture, modules)
        rng = np.random.default_rng(seed)
        self.tensors: dict[str, Array] = {}
        for layer in self._layers():
            for weight in layer.weights:
                if layer.names[weight.name] not in self.tensors:
                    self.tensors[layer.names[weight.name]] = weight.random(rng, SPREAD)

    @property
    def parameters(self) -> dict[str, Array]:
        """The model's weights, excluding buffers."""
        buffers = {layer.names[weight.name] for layer in self._layers() for weight in layer.weights if weight.buffer}
        return {name: array for name, array in self.tensors.items() if name not in buffers}

    def load(self, weights: Mapping[str, Array]) -> None:
        """Load weights by checkpoint name.

        Raises:
            InputError: A tensor is missing or unexpected, has the wrong shape, or contains non-finite numbers.
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
        """Compute the logits [b q V] of ``ids`` [b q], or of ``decoder_input_ids`` in an encoder-decoder.

        For an audio encoder, ``ids`` are frames [b r channels]. ``token_type_ids`` are segment ids [b q], or several
        ids per token [b q n]. ``bbox`` [b q 4] holds the left, upper, right and lower edges of each token on the page.
        Other embedding tables read ``own_ids``, such as ``task_type_ids`` [b q]. The vision encoder's output for
        ``pixels`` (see ``see``) replaces the embeddings of tokens with id ``image_token_id``.
        """
        known = {id_input(layer.layer) for layer in self._layers()} - {""}
        for name, given in own_ids.items():
            if name not in known:
                raise UnknownNameError("input", name, [*known, "decoder_input_ids", "token_type_ids", "bbox"])
            if np.shape(given) != np.shape(ids):
                raise InputError(f"{name} has shape {np.shape(given)}, but the token IDs have shape {np.shape(ids)}")
        seen = None if pixels is None else self._image_vectors(ids, pixels, grid, image_token_id)
        return self._run(ids, decoder_input_ids, token_type_ids, None, logits, bbox, own_ids, seen)

    def see(self, pixels: Array, grid: tuple[int, int] | None = None) -> tuple[Array, ...]:
        """Run the vision encoder on image patches ``pixels`` [b p c (f) i j], and return arrays [b m d].

        Patches are in row-major order. ``grid`` is the number of rows and columns of patches (default: a square). If
        learned queries attend to the encoder's output, the query outputs are returned.
        """
        first, *resamplers = self._towers()
        step = self._step(pixels, first, None)
        step.grid = step.whole_grid = grid_of(step.ids.shape[1], grid)
        last, results = run_stack(first, self.tensors, step, None, "all"), step.tower_results
        for tower in resamplers:
            queries = Step(np.zeros((len(step.ids), tower.n_learned_queries), int), source=last)
            last = run_stack(tower, self.tensors, queries, None, "all")
        return (*results, last)

    def _image_vectors(
        self, ids: Array, pixels: Array, grid: tuple[int, int] | None, image_token_id: int | None
    ) -> tuple[Array, Array]:
        """Return the image vectors and a mask of the tokens that they replace.

        Raises:
            UnsupportedError: The text model does not replace placeholder tokens with image vectors.
        """
        if not self._towers()[-1].stack.replaces_placeholder_tokens:
            text = f"the NumPy model does not implement how {self.architecture.name} combines images with text"
            raise UnsupportedError(text, hint="call see() to get the vision encoder's output")
        if image_token_id is None:
            hint = "pass the ID of the placeholder tokens that the image replaces"
            raise InputError("image_token_id is missing", hint=hint)
        (vectors,) = self.see(pixels, grid)
        return vectors, np.asarray(ids) == image_token_id

    def _towers(self) -> list[PlacedStack]:
        """Return the tower that reads pixels, followed by resamplers that attend to the previous tower's output."""
        towers = [stack for stack in self.stacks if stack.stack.role == "tower"]
        described = sum(stack.role == "tower" for stack in self.architecture.stacks)
        if not towers or len(towers) < described or any(not tower.n_learned_queries for tower in towers[1:]):
            text = f"{len(towers)} of {described} towers have a NumPy model"
            raise InputError(f"{self.architecture.name}: {text}; only a single tower followed by resamplers can run")
        return towers

    def prefill(
        self, ids: Array, decoder_input_ids: Array | None = None, *, logits: str = "all"
    ) -> tuple[Array, Cache]:
        """Compute the logits as in ``forward``, and return them with the cache for the next step."""
        cache = Cache()
        return self._run(ids, decoder_input_ids, None, cache, logits), cache

    def decode(self, ids: Array, cache: Cache) -> Array:
        """Compute the logits of new tokens ``ids`` [b q], and append the tokens to the cache."""
        if not cache.length:
            raise InputError("the cache is empty", hint="call prefill first")
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
            raise InputError("an encoder-decoder model requires decoder_input_ids")
        if target is not None and not self.architecture.is_encoder_decoder:
            raise InputError(
                f"{self.architecture.name} is not an encoder-decoder model and does not accept decoder_input_ids"
            )
        result: Array | None = None
        stream: Array | None = None  # input of the final norm of the last stack that ran
        self.predictions: list[Array] = []
        handover = PatchHandover()
        for stack in (stack for stack in self.stacks if stack.stack.role != "tower" and not stack.stack.unused):
            is_main = stack.stack is main
            if stack.stack.role == "encoder" and not is_main and cache is not None and cache.length:
                continue  # the decoder has cached its keys and values
            own = target if is_main and target is not None else ids
            if stack.takes_handover:
                step = handover.step(stack.stack.patch, stack.input_width, cache.length if cache else 0)
            else:
                is_prediction = stack.stack.role == PREDICTION
                later = np.roll(own, -1 - len(self.predictions), axis=1) if is_prediction else own
                step = self._step(later, stack, cache)
                step.source, step.previous_stream = result, stream
            if not step.ids.shape[1]:  # no patch ends here
                continue
            step.segments, step.boxes, step.own_ids, step.image_tokens = segments, boxes, own_ids, seen
            found = run_stack(stack, self.tensors, step, cache, logits)
            stream = step.unnormed_output
            if stack.stack.role == PREDICTION:
                self.predictions.append(found)
            else:
                result = found
                handover.store(stack.stack.patch, step, result)
        if cache is not None:
            cache.extend(ids if target is None else target)
        return result

    def _step(self, own: Array, stack: PlacedStack, cache: Cache | None) -> Step:
        """Return the inputs of a stack's step, given the stack's token ids or data ``own``."""
        cached = cache.length if cache else 0
        if not stack.input_shape(1):
            new = np.asanyarray(own)
            if new.ndim != 2 or new.dtype.kind not in "iu" or new.size == 0:
                raise InputError(f"token IDs must be integers of shape [batch, tokens], not {short_repr(own)}")
            if new.min() < 0 or new.max() >= stack.vocab:
                raise InputError(f"token ID {new.max()} is outside the vocabulary of {stack.vocab} tokens")
            return Step(new, cached, text=None if cache is None else cache.with_text(new))
        if len(getattr(own, "shape", ())) < 2:
            raise InputError(f"the input of {stack.stack.name} must be an array, not {short_repr(own)}")
        b, rows, *inner = own.shape
        one, two = (stack.input_shape(tokens)[0] for tokens in (1, 2))  # type: ignore[index]
        tokens = (rows - 2 * one + two) // (two - one)  # every token after the first takes the same number of rows
        if not tokens or (rows, *inner) != stack.input_shape(tokens):
            wanted = ", ".join(map(str, stack.input_shape(max(tokens, 1)) or ()))
            text = f"the input of {stack.stack.name} must have shape [batch, {wanted}], not {list(own.shape)}"
            raise InputError(text)
        return Step(np.zeros((b, tokens), int), cached, data=own)

    def _layers(self) -> list[Any]:
        return [layer for stack in self.stacks for layer in stack.layers()]
