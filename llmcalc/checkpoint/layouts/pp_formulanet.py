"""PP-FormulaNet: SAM's tower and a projector behind it, and BART's names in the decoder."""

from .got_ocr2 import SAM, VISION
from .pp_formulanet_text import TEXT as DECODER

PREFIX = "model."
PROJECTOR = "model.encoder.multi_modal_projector"
TEXT = f"""
{SAM.replace(VISION, "model.encoder")}
{PROJECTOR}.conv1.weight <- downsample_in.w
{PROJECTOR}.conv2.weight <- downsample_out.w
{PROJECTOR}.linear_1.weight <- projector_in.w
{PROJECTOR}.linear_1.bias <- projector_in.b
{PROJECTOR}.linear_2.weight <- projector_out.w
{PROJECTOR}.linear_2.bias <- projector_out.b
{DECODER}
"""
