"""What a page measures beside its scores. Sections show it, and criteria are held against it."""
