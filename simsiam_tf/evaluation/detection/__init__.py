"""Shows detections in pictures."""
