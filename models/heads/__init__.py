"""What differs between kinds of target where a model answers, one file a kind."""
