"""Adaptation at a site, metrics and their uncertainty, reports."""
