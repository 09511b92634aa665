"""From images to joints: the five stages' sources and training, their models, and what they find in a user's images."""
