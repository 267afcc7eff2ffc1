"""Images that vary as scanners, stains and positions do."""
