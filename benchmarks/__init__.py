"""What waiting, parsing and running with this provider costs, side by side with its peers."""
