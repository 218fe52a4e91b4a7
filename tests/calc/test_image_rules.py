"""Sizes of images in tokens, against the rules of published processors."""

from __future__ import annotations

import pytest

from llmcalc.calc.images.rule import ImageRule, read_image_size
from llmcalc.core.errors import InputError
from llmcalc.data import table
from llmcalc.inputs.image_rules import find_image_rule

# model_type, width, height, tokens: computed by hand from the processors named in data/image_rules.yaml
PUBLISHED = [
    ("gemma3", 1024, 768, 256 + 4),
    ("qwen2_5_vl", 1024, 768, 37 * 27 + 2),
    ("qwen2_5_vl", 37, 31, 3 * 2 + 2),  # enlarged to the minimum of 3,136 pixels
    ("qwen2_5_vl", 7000, 6000, 138 * 118 + 2),  # reduced to the maximum of 12,845,056 pixels
    ("qwen3_vl", 1024, 768, 32 * 24 + 2),
    ("mistral3", 1024, 768, 28 * (37 + 1)),
    ("mistral3", 3080, 1541, 28 * (55 + 1)),  # the longer side is reduced to 1,540 pixels
    ("llama4", 1024, 768, 13 * 144 + 12 + 3),  # 3 rows of 4 tiles, and the whole image
    ("llama4", 331, 197, 144 + 3),
    ("llava", 1024, 768, 576),
    ("llava_next", 1024, 768, 576 + 36 * (48 + 1)),  # 672 x 672 pixels, without the padding
    ("llava_next", 336, 336, 576 + 24 * (24 + 1)),
    ("internvl", 1024, 768, 13 * 256 + 2),
    ("internvl", 223, 211, 256 + 2),
    ("idefics3", 1024, 768, (4 * 3 + 1) * 169 + 12 * 2 + 3 + 3),
    ("minicpmv", 1024, 768, 5 * 64 + 4 * 2 + 2 + 2),
    ("minicpmv", 448, 447, 64 + 2),
    ("gemma4", 1024, 768, 19 * 14 + 2),
    ("gemma4", 7001, 13, 280 + 2),  # one row of as many tokens as allowed
    ("phi4_multimodal", 1024, 768, 16 * 17 + 1 + 32 * (43 + 1)),  # 2 rows of 3 tiles, without the padding
    ("phi4_multimodal", 439, 433, 16 * 17 + 1 + 16 * (16 + 1)),
    ("llava_onevision", 1024, 768, 729 + 27 * 2 * (27 * 3 - 2 * 4 + 1)),
    ("aya_vision", 1024, 768, 13 * 169 + 12 + 2),
    ("glm4v", 1024, 768, 37 * 27 + 2),
    ("kimi_k25", 1024, 768, 37 * 28 + 4),
]


@pytest.mark.parametrize(("model_type", "width", "height", "tokens"), PUBLISHED)
def test_an_image_has_the_tokens_of_its_processor(model_type: str, width: int, height: int, tokens: int) -> None:
    assert _rule(model_type).measure(width, height).tokens == tokens


@pytest.mark.parametrize("model_type", [*table("image_rules"), "qwen3_5_moe"])
def test_no_image_is_larger_than_the_largest(model_type: str) -> None:
    rule = _rule(model_type)
    largest = rule.largest()
    for width, height in ((13, 17), (337, 331), (1531, 769), (773, 3079), (9973, 9967), (20011, 211)):
        size = rule.measure(width, height)
        assert 0 < size.embeddings <= size.tokens <= largest.tokens, (width, height)
        assert size.patches == sum(rows * columns for rows, columns in size.grids)
        assert 1 <= size.values / (3 * rule.patch**2 * size.patches) < 1.1  # pixels that fill no patch are not read


def test_crops_are_added_to_elongated_images() -> None:
    """Gemma 3's pan and scan: ratios from 1.2 on, crops of at least 256 pixels."""
    processor = {"pan_and_scan_max_num_crops": 4, "pan_and_scan_min_crop_size": 256}
    rule = find_image_rule({"model_type": "gemma3"}, processor)
    assert rule is not None
    grids = [
        len(rule.measure(width, height).grids) for width, height in ((797, 701), (1201, 599), (2003, 499), (601, 251))
    ]
    assert grids == [1, 3, 5, 1]


def test_the_processor_and_the_config_override_defaults() -> None:
    config = {"model_type": "qwen2_vl", "vision_config": {"patch_size": 13, "spatial_merge_size": 3}}
    rule = find_image_rule(config, {"min_pixels": 1, "max_pixels": 39 * 39 * 7})
    assert rule is not None
    assert (rule.patch, rule.merge) == (13, 3)
    assert rule.measure(5003, 5003).tokens == 2 * 2 + 2
    shapes = {"model_type": "llava_next", "image_grid_pinpoints": [[336, 1008]]}
    one = find_image_rule(shapes)
    assert one is not None
    assert len(one.measure(1009, 337).grids) == 1 + 3


def test_values_of_a_wrong_type_are_refused() -> None:
    with pytest.raises(InputError, match="invalid value"):
        find_image_rule({"model_type": "qwen2_vl"}, {"min_pixels": "many"})


def test_an_unknown_processor_has_no_rule() -> None:
    assert find_image_rule({"model_type": "llama"}) is None


@pytest.mark.parametrize("text", ["1024", "x768", "0x5", "1024x768x3", "-3x5", "99999999x5", "½x5"])
def test_an_image_size_is_a_width_and_a_height(text: str) -> None:
    assert read_image_size("1024x768") == (1024, 768)
    with pytest.raises(InputError, match="invalid image size"):
        read_image_size(text)


def _rule(model_type: str) -> ImageRule:
    rule = find_image_rule({"model_type": model_type})
    assert rule is not None
    return rule
