"""What may leave a hospital, and what may not."""
