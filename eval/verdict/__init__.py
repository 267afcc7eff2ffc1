"""The verdict: criteria that were fixed before the run, and what they say together."""
