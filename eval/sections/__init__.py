"""The sections of a hospital's page: one file and one template each, found by name."""
