"""Meta-training: what it draws from, its loop, processes, threads and resume states."""
