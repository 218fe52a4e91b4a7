"""The page that runs llmcalc in a browser: how it is built and served, and what it shows."""
