"""Episodes of support and query, drawn from the records of the source sites."""
