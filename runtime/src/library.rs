//! ONNX Runtime's shared library: where it is looked for, and how it is loaded.
