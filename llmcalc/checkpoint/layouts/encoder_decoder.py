"""An encoder and a decoder of any families: each under the names that it has alone."""

TEXT = ""
