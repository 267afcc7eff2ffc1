"""Learners, one file each, and the supervised source model that the baselines start from."""
