"""What other implementations gave for the same inputs, recorded, and the scripts that recorded it."""
