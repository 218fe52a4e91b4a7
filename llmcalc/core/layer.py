"""Base class for layer kinds. A layer kind is a record that declares equations.

Each kind is defined in ``llmcalc/layers/<kind>.py`` and looked up by file name. Presets set its fields, and
``declare()`` returns its axes, tensors, equations and state.
"""

from __future__ import annotations

from .declaration import Declaration
from .part import LARGEST_SIZE as LARGEST_SIZE
from .part import Part
from .part import is_integer as is_integer
from .part import is_number as is_number
from .traits import Traits
from .type_names import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing import Self

    from .shrink import Sizes

MOST_LAYERS = 5_000


class Layer(Traits, Part):
    """Base class for all layer kinds.

    ``EXTERNAL_TENSORS`` describes tensors that equations read but do not compute. ``INPUT_WIDTH`` names the field
    that contains the input width. ``OUTPUT_WIDTH`` names the field that contains the output width if the widths
    differ.
    """

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "x": "the layer's input",
        "src": "the encoder's output",
        "cq": "the query latent",
        "ids": "the indices to look up",
        "shifted": "the input, shifted by one token",
        "earlier": "the residual stream before an earlier sub-layer of the block",
        "reused_k": "keys of an earlier layer",
        "reused_v": "values of an earlier layer",
        "shared": "the output of the shared experts",
        "mask": "the attention mask",
        "prefix_k": "keys of a learned prefix",
        "prefix_v": "values of a learned prefix",
        "sinusoids": "sines and cosines of relative positions",
        "distances": "a table row for the relative position of each query and key",
        "position_bias": "a bias computed from positions (ALiBi)",
        "decay": "cumulative decays, computed from dt",
        "window": "the decay of a long filter",
        "v": "one of the streams u of a Hyena operator",
        "qn": "the non-rotary part of q",
        "qr": "the rotary part of q",
    }

    SHRINK: ClassVar[dict[str, str]] = {"d_model": "width"}
    INPUT_WIDTH: ClassVar[str] = "d_model"
    OUTPUT_WIDTH: ClassVar[str] = ""
    WIDTH_MULTIPLE: ClassVar[int] = 1  # the kind splits the stream into equal parts, whose number divides this number
    READS_EARLIER_LAYERS: ClassVar[bool] = False  # whether the kind attends to the outputs of all earlier layers
    NEEDS_SQUARE_IMAGE: ClassVar[bool] = False
    merge: int = 1  # number of positions merged into one

    @classmethod
    def signature(cls) -> str:
        """Return the text that identifies the kind in a fingerprint."""
        return cls.__name__

    def declare(self) -> Declaration:
        """Return the axes, tensors, equations and state of this layer."""
        raise NotImplementedError

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return small values for fields that depend on other fields. ``small`` contains the sizes already set by
        rules.
        """
        return {}

    def width_multiple(self) -> int:
        """Return the number of which all widths of the small test model must be multiples."""
        return self.WIDTH_MULTIPLE

    def reserve_sizes(self, sizes: Sizes, stream: int) -> None:
        """Reserve small widths that must be consistent across layers. ``stream`` is the width of the residual
        stream.
        """

    def concatenated_width(self) -> int:
        """Return the width that an input layer concatenates to the residual stream."""
        return 0

    def n_concatenated_streams(self) -> int:
        """Return the number of residual streams that an output layer concatenates, or 0 if there is no
        concatenation.
        """
        return 0

    def n_prefix_tokens(self) -> int:
        """Return the number of tokens that an input layer inserts before the patches."""
        return 0

    def fit_patches(self, rows: int, columns: int, n_prefix: int) -> Layer:
        """Adapt an input layer of a vision encoder to an image of ``rows`` × ``columns`` patches."""
        return self

    def shrink_output(self, small: Self) -> Self:
        """Return the small version of the layer at the output of a vision encoder. ``small`` is the version used
        elsewhere.
        """
        return small
