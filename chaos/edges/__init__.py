"""What an edge has to bear: replicas behind it that die, hang and come back."""
