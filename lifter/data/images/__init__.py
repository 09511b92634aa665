"""Image files, and the annotated image sets of other people."""

from lifter.data.images.image_set import Annotation, ImageSet
from lifter.data.images.load import load_image_set
from lifter.data.images.picture import crop, load_image

__all__ = ["Annotation", "ImageSet", "crop", "load_image", "load_image_set"]
