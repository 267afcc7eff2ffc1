"""Records: what convert writes, and which of them belong together."""
