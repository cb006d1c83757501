"""What Triton costs beside bare PyTorch on an NVIDIA GPU: ``python -m deploy.gpu.bench``."""
