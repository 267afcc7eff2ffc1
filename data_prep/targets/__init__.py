"""What a record is asked: labels, and which image each is of."""
