"""What a backbone gives: features, the nearest of them, and how good they are. Knows no run."""
