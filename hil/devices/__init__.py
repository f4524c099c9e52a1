"""Devices that speak their real protocols for chargers and meters of the plant."""
