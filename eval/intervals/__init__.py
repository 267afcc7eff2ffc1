"""The two uncertainties, over patients and over draws: never merged."""
