"""Odd but real situations, each a small export made from nothing, with the result that is right."""
