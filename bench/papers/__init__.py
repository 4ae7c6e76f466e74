"""The tables of the papers behind the project: what they print, what bench measures."""
