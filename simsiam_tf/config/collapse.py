"""When representations count as collapsed, in the warnings of training and in the verdicts of the reproduction.

The measure is the standard deviation of z/|z| times sqrt(d): near 1 in good health, about 2 / sqrt(batch) after a
collapse that batch norm hides.
"""

# A collapse under the cosine loss: the loss below COLLAPSED_LOSS, and the deviation below this share of a healthy one.
COLLAPSED_STD, COLLAPSED_LOSS = 0.5, -0.9
# All z point in one direction, whatever the loss is: the deviation is below this share of a healthy one.
POINT_STD = 0.1
