"""Colour words and item words in Russian and English, and the titles made of them."""
