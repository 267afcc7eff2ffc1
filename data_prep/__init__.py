"""Studies -> arrays -> tasks: sources, readers, de-identification, standardising, labels, episodes, phantoms."""
