"""The demo's photos: drawn ones, whose colour is known, and ones that come with scikit-image."""
