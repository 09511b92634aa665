"""Zarr and HDF5 sets keep the contract of a store; plans; what a path may be."""

from pathlib import Path

from store_contract import StoreContract


class TestZarr(StoreContract):
    def place(self, folder: Path, name: str = "set") -> str:
        return str(folder / f"{name}.zarr")


class TestHdf5(StoreContract):
    def place(self, folder: Path, name: str = "set") -> str:
        return str(folder / f"{name}.h5")
