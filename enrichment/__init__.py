"""What can be derived from an order by data files, for serving and training alike. Pure."""
