"""One small file per command; parses and calls, computes nothing."""
