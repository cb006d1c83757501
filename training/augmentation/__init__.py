"""What turns a studio cut-out into something that looks like a person's own photo; hue is never touched."""
