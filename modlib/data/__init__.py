"""Data sets: found on this machine or fetched, and verified before they are used."""

from modlib.data.idx import DataError
from modlib.data.loading import Dataset, available, cache_folder, fetch, load

__all__ = ["DataError", "Dataset", "available", "cache_folder", "fetch", "load"]
