"""ONNX graphs: read, shapes inferred, and said in the ops that everything else is counted by. Never imports torch."""
