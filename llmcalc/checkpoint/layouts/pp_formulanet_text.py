"""PP-FormulaNet's decoder: BART's names; alone, it stands under none."""

from . import bart

PREFIX = "model.decoder."
TEXT = bart.TEXT.replace("{side}", "decoder")
