"""One file a format: header, identifiers and pixels."""
