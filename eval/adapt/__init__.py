"""Stage `adapt`: every method on the same support draws and the whole query set of one site."""
