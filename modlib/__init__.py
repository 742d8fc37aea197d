"""What makes a group of hidden units a module? Measures, clustering and experiments."""
