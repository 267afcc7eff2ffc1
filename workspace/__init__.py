"""What a workspace holds: its settings, its paths, and how outputs and refusals leave a stage.

Imports nothing of fewsite.
"""
