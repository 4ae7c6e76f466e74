"""Tables of records and the files they become; nothing here plans, runs or measures."""
