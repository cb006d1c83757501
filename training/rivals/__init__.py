"""What else one could do about colours with the same photos: plain convolutional classifiers, trained as people do."""
