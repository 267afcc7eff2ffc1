"""What a good answer is: one file a kind of target, each with its scores."""
