"""The web application: an API over sessions that a store keeps, the page of readers, and doors for other viewers."""
