"""Video-LLaVA's two towers and their projector."""

from .clip import PROJECTORS, encoder

TEXT = encoder("model.{side}") + PROJECTORS
