"""What an export holds: every file of a folder, archive, DICOMDIR or list, told by content."""
