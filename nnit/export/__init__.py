"""Networks for other tools: ONNX, torch.export, C, and repositories of a model hub."""
