"""Other people's 2D keypoints, matched to a skeleton, and the pose files that lifting writes."""
