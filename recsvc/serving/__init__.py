"""The process around the pipeline: gRPC server, workers, supervisor, model switches."""
