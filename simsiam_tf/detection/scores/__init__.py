"""Measures how well objects are detected: average precision as COCO and as Pascal VOC define it."""
