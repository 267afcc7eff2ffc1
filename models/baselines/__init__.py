"""Baselines on the same footing as the learners: the same contract, supports and queries.

All but one start from the source model.
"""
