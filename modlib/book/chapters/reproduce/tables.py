"""What the page on reproducing cites: how far the tables of other processors lie from those stored."""

import pandas as pd

from modlib.book import benchmark_records
from modlib.book.numbers import offered
from modlib.book.stored import there


@offered("switches", "quantity")
def processors(_profile: str) -> pd.DataFrame:
    """Differences between runs of one experiment with different instructions of the processor."""
    return there(benchmark_records.read_if_there("processors", "cpu")).table
