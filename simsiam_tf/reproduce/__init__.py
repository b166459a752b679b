"""Runs the paper's experiments, judges their results, and shows the paper's numbers beside ours."""
