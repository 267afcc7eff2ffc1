"""How a person drives fewsite: the `fewsite` command.

The stages themselves are run by DVC (dvc.yaml).
"""
