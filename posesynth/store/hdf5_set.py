"""A data set as one HDF5 file (being written)."""
