"""Plan, cells, engine, store."""
