"""The image tower, the text tower, the tokenizer, and the CLIP that joins them."""
