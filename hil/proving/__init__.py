"""What is proven about each device: captured exchanges, what they would notice, and the page."""
