"""Calculators: each a fold over the ledger of an architecture. Standard library only; nothing prints."""
