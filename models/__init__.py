"""Encoders, augmentation, learners (one file a method), baselines, training and checkpoints."""
