"""The chapters of the book, one folder a page: its tables and its charts. No chapter knows another."""
