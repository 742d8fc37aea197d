"""Data sets: found on this machine or downloaded, and verified before they are used."""

from modlib.data.datasets import Dataset, available, fetch, load
from modlib.data.folders import cache_folder
from modlib.data.idx import DataError

__all__ = ["DataError", "Dataset", "available", "cache_folder", "fetch", "load"]
