"""The page: what a section is, and how sections become one HTML file."""
