"""What describes architectures: parts, structure, kinds as text, fingerprints and closed forms as text and code."""
