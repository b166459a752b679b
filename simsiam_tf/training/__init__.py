"""Pre-training: the loop, its checkpoints, and the folder of a run."""
