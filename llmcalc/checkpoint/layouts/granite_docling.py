"""Granite Docling's tower, with its connector; the language model under ``text_model``."""

from .clip import encoder

BEHIND = "model.text_model."
VISION = "model.vision_model"
CONNECTOR, ROUTER = f"{VISION}.connector", "model.density_router"
TEXT = f"""
{CONNECTOR}.ln_in.weight <- connector_norm.w
{CONNECTOR}.ln_in.bias <- connector_norm.b
{CONNECTOR}.coarse.projection.weight <- coarse.w
{CONNECTOR}.coarse.deepstack_mergers.{{t}}.layer_norm.weight <- coarse_norm.w
{CONNECTOR}.coarse.deepstack_mergers.{{t}}.layer_norm.bias <- coarse_norm.b
{CONNECTOR}.coarse.deepstack_mergers.{{t}}.linear_1.weight <- coarse_in.w
{CONNECTOR}.coarse.deepstack_mergers.{{t}}.linear_1.bias <- coarse_in.b
{CONNECTOR}.coarse.deepstack_mergers.{{t}}.linear_2.weight <- coarse_out.w
{CONNECTOR}.coarse.deepstack_mergers.{{t}}.linear_2.bias <- coarse_out.b
{CONNECTOR}.fine.projection.weight <- fine.w
{CONNECTOR}.fine.deepstack_mergers.{{t}}.layer_norm.weight <- fine_norm.w
{CONNECTOR}.fine.deepstack_mergers.{{t}}.layer_norm.bias <- fine_norm.b
{CONNECTOR}.fine.deepstack_mergers.{{t}}.linear_1.weight <- fine_in.w
{CONNECTOR}.fine.deepstack_mergers.{{t}}.linear_1.bias <- fine_in.b
{CONNECTOR}.fine.deepstack_mergers.{{t}}.linear_2.weight <- fine_out.w
{CONNECTOR}.fine.deepstack_mergers.{{t}}.linear_2.bias <- fine_out.b
{CONNECTOR}.ln_mid.weight <- mixing_norm.w
{CONNECTOR}.ln_mid.bias <- mixing_norm.b
{CONNECTOR}.mlp_fc2.weight <- mixing.w
{CONNECTOR}.ln_out.weight <- mixed_norm.w
{CONNECTOR}.ln_out.bias <- mixed_norm.b
{ROUTER}.att.weight <- density.w
{ROUTER}.att.bias <- density.b
{ROUTER}.norm.weight <- density_norm.w
{ROUTER}.norm.bias <- density_norm.b
{ROUTER}.fc1.weight <- density_in.w
{ROUTER}.fc1.bias <- density_in.b
{ROUTER}.fc2.weight <- density_out.w
{ROUTER}.fc2.bias <- density_out.b
""" + encoder(VISION)
