"""What turns an image into features: networks, their stages, and the weights they start from."""
