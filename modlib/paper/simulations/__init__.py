"""Simulations that test our own statistics where the truth is known."""
