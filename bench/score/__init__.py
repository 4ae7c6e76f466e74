"""The nine criteria and their statistics; no torch."""
