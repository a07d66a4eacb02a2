"""What can be derived from an order by data files, for serving and training alike: its value in one currency too."""
