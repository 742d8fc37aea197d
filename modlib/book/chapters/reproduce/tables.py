"""What the page on reproducing cites: how far the tables of other processors lie from those stored."""

import pandas as pd

from modlib.book import benchmark_records
from modlib.book.numbers import offered


@offered("switches", "quantity")
def processors(_profile: str) -> pd.DataFrame:
    """Differences between runs of one experiment with different instructions of the processor."""
    record = benchmark_records.read_if_there("processors", "cpu")
    return pd.DataFrame() if record is None else record.table
