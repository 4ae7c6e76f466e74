"""Tables: pure functions of the records."""
