"""The paper's experiments: their runs, what those show, and the paper's numbers beside ours."""
