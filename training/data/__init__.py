"""Where photos and labels come from, and how they are cleaned before a tower sees them."""
