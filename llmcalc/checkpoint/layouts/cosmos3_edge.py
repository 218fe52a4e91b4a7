"""Cosmos 3 Edge's tower and projector."""

from .clip import encoder

PROJECTOR = "model.projector"
TEXT = f"""
{PROJECTOR}.norm.weight <- projector_norm.w
{PROJECTOR}.norm.bias <- projector_norm.b
{PROJECTOR}.linear_fc1.weight <- projector_in.w
{PROJECTOR}.linear_fc1.bias <- projector_in.b
{PROJECTOR}.linear_fc2.weight <- projector_out.w
{PROJECTOR}.linear_fc2.bias <- projector_out.b
""" + encoder("model.visual")
