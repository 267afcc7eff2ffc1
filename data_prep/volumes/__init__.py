"""Slices -> volumes on a common grid, and images as training takes them."""
