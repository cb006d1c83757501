"""How good a model is, and against what: photos with labels, rivals, made pictures, one report."""
