"""Studies -> arrays -> tasks."""
