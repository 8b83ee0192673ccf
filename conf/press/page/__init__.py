"""What every page gets, whatever it shows."""
