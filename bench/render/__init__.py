"""The face renderer behind the synthetic sets and the official twins."""
