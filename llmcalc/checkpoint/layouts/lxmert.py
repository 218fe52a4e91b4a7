"""LXMERT: BERT for the text, blocks for regions of an image, and blocks in which both meet."""

from .bert import ENCODER

PREFIX = "lxmert."
REGIONS = """
{m}.encoder.visn_fc.visn_fc.weight <- region_projection.w
{m}.encoder.visn_fc.visn_fc.bias <- region_projection.b
{m}.encoder.visn_fc.visn_layer_norm.weight <- region_norm.w
{m}.encoder.visn_fc.visn_layer_norm.bias <- region_norm.b
{m}.encoder.visn_fc.box_fc.weight <- place_projection.w
{m}.encoder.visn_fc.box_fc.bias <- place_projection.b
{m}.encoder.visn_fc.box_layer_norm.weight <- place_norm.w
{m}.encoder.visn_fc.box_layer_norm.bias <- place_norm.b
"""
MEETING = "{m}.encoder.x_layers.{i}"
ATTENTION = """
{place}.{self}.query.weight <- {part}/attention.wq
{place}.{self}.query.bias <- {part}/attention.bq
{place}.{self}.key.weight <- {part}/attention.wk
{place}.{self}.key.bias <- {part}/attention.bk
{place}.{self}.value.weight <- {part}/attention.wv
{place}.{self}.value.bias <- {part}/attention.bv
{place}.output.dense.weight <- {part}/attention.wo
{place}.output.dense.bias <- {part}/attention.bo
{place}.output.LayerNorm.weight <- {part}/norm.w
{place}.output.LayerNorm.bias <- {part}/norm.b
"""
MLP = """
{place}_{inner}.dense.weight <- {part}/mlp.wu
{place}_{inner}.dense.bias <- {part}/mlp.bu
{place}_output.dense.weight <- {part}/mlp.wd
{place}_output.dense.bias <- {part}/mlp.bd
{place}_output.LayerNorm.weight <- {part}/norm.w
{place}_output.LayerNorm.bias <- {part}/norm.b
"""


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


JOINT = "".join(
    (
        _filled(ATTENTION, place=f"{MEETING}.visual_attention", self="att", part="across"),
        _filled(ATTENTION, place=f"{MEETING}.lang_self_att", self="self", part="text"),
        _filled(ATTENTION, place=f"{MEETING}.visn_self_att", self="self", part="region"),
        _filled(MLP, place=f"{MEETING}.lang", inner="inter", part="text_mlp"),
        _filled(MLP, place=f"{MEETING}.visn", inner="inter", part="region_mlp"),
        _filled(ATTENTION, place="{m}.encoder.r_layers.{i}.attention", self="self", part="seen"),
        _filled(MLP, place="{m}.encoder.r_layers.{i}.", inner="intermediate", part="seen_mlp").replace("._", "."),
    )
)
TEXT = (ENCODER + REGIONS + JOINT).replace("{m}.", PREFIX)
