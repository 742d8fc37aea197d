"""Experiments: what is run, how it is run on one machine or many, and how its tables are stored."""
