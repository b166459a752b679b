"""Defines when representations count as collapsed, in the warnings of training and the verdicts of a reproduction.

The measure is `z_std_scaled`, the standard deviation of z / |z| times sqrt(d) (Sec. 4.1). It is near 1 if all is well.
After a collapse that batch norm hides, it is about 2 / sqrt(batch).
"""

# With a cosine loss, representations are collapsed if the loss is below COLLAPSED_LOSS and `z_std_scaled` is below this
# fraction of a healthy one.
COLLAPSED_STD, COLLAPSED_LOSS = 0.5, -0.9
# With any loss, all z point in one direction if `z_std_scaled` is below this fraction of a healthy one.
POINT_STD = 0.1
